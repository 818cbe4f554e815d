"""Stands in for the original's settings; written by us."""


class KBLaMConfig:
    def __init__(self, kb_layer_frequency: int = 3, kb_scale_factor: int | None = None, sep_query_head: bool = False):
        assert sep_query_head
        self.kb_layer_frequency, self.kb_scale_factor = kb_layer_frequency, kb_scale_factor
