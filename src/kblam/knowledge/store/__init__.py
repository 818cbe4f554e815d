"""Knowledge that lasts: a directory with every version of its facts, safe under concurrent use and sudden ends."""
