"""The words that synthetic facts are made of."""

from __future__ import annotations

__all__ = ["ADJECTIVES", "CHINESE", "FIRST_NAMES", "JAPANESE", "LISTS", "NOUNS", "PLACES", "SYLLABLES"]

ADJECTIVES = (
    "amber ancient autumn bitter blue brave bright broken calm careful clear clever cold copper crimson curious curved daily "
    "dark deep dense distant double dry early eastern elastic electric empty endless even faint famous fast final fine flat "
    "foreign formal fragile free frozen gentle giant glass golden grand gray green happy hard heavy hidden hollow honest huge "
    "hungry iron joint keen large late lazy light little local lonely long loose loud lucky magnetic main marble mild minor "
    "modern narrow native neat new noble northern odd old open orange outer pale patient perfect plain polite portable prime "
    "private proud public pure quick quiet rapid rare raw red remote rich rough round royal rural sacred safe salty secret "
    "sharp short silent silver simple single slow small smooth social soft solar solid southern spare stable steady steep "
    "stiff still strange striped strong sudden sunny sweet swift tall tender thick thin tidy tiny tough twin urban vast violet "
    "vivid warm weak western wet white wide wild winter wise wooden young"
).split()

NOUNS = (
    "anchor apple arch arrow badge bakery balloon barrel basin basket bell bench bird blanket boat bottle bowl bridge brush "
    "bucket button cabin cable camera candle canal canvas carpet castle cave chain chair channel chapel chest circle clock "
    "cloud coat coin column compass copper corner cottage cradle crane crown crystal cup curtain desert desk door dragon drum "
    "eagle engine falcon farm feather fence ferry field filter fire flag flame flower flute forest fork fountain fox frame "
    "garden gate glacier glove grain harbor hammer hat hawk helmet hill horn horse house island jacket jar journal kettle key "
    "kite ladder lake lamp lantern leaf lens letter library lily lion lock map market mask meadow mill mirror moon mountain "
    "museum needle nest net oak ocean orchard organ palace paper path pearl pencil pepper piano pillow pilot pipe planet plate "
    "pocket pond port prism pump quarry rabbit radio raft rail river road robot rocket roof root rope rose sail salt sand "
    "saddle school seed shadow shelf shell ship shirt signal sky spark spoon spring square stable star station stone storm "
    "stream street string sun sword table tail tea temple tent theater thread tiger timber tower train tree trumpet tunnel "
    "turtle valley vase vessel village violin wagon wall watch water wave well whale wheel willow window wing wolf wood wool"
).split()

FIRST_NAMES = (
    "Ada Akira Alba Amara Anders Anil Anya Arturo Beatriz Bela Bruno Carla Chen Clara Dario Diego Dina Elena Elif Emil Emma "
    "Erik Esther Fatima Felix Femi Freya Gita Goran Greta Hana Hassan Hugo Ines Ingrid Ivan Jamal Jana Jonas Julia Kaito Kamal "
    "Karin Kofi Lars Laila Lena Liam Linh Lucia Magnus Maya Mei Milan Mira Nadia Naomi Niko Nora Olga Omar Oscar Paula Pavel "
    "Petra Priya Rafael Rahim Rosa Ruth Samir Sana Sara Selim Sofia Stefan Sven Tara Theo Tomas Uma Vera Viktor Wei Yara Yuki "
    "Yusuf Zara Zoe"
).split()

PLACES = (
    (
        "Aarhus Accra Adelaide Amman Antwerp Arequipa Aswan Athens Baku Bamako Bergen Bilbao Bogota Bologna Bordeaux Brasov Bristol "
        "Brno Busan Cairo Calgary Cardiff Chennai Cork Cuenca Dakar Dalian Darwin Denver Dresden Dublin Durban Edinburgh Fukuoka "
        "Gdansk Geneva Ghent Graz Haifa Hanoi Havana Helsinki Hobart Izmir Jaipur Kandy Kigali Kobe Krakow Kyoto La Paz Lagos Leeds "
        "Leipzig Lima Lisbon Ljubljana Lusaka Lyon Malaga Manila Maputo Medellin Melbourne Minsk Mombasa Montreal Mumbai Nagoya "
        "Nairobi Nantes Naples Odessa Oslo Osaka Oulu Palermo Perth Porto Prague Pune Quito Recife Reykjavik Riga Rosario Sapporo "
        "Seattle Sendai Seville Shiraz Sofia Split Surabaya Tallinn Tampere Tbilisi Toledo Toronto Trieste Tunis Turin Uppsala "
        "Utrecht Valencia Vienna Vilnius Warsaw Wroclaw Yerevan Zagreb Zurich"
    )
    .replace("La Paz", "La_Paz")
    .split()
)

SYLLABLES = (
    "ba be bel bor bra cal car cen cor cra da dal den dor dra el en er fa fen fir for ga gal gar gor gra ha hal har hel hor il "
    "in ir ja jor ka kal kar kel kor kri la lan lar len lin lor lu ma mal mar mel mi mor na nel nor nu o or os pa pel por pra "
    "qui ra ran rel ri ron ru sa sal sel sha sil sor sta ta tal tar tel ti tor tra ul un ur va val vel vi vor wa wel win xa "
    "yan yor za zel zi zor"
).split()

LISTS: dict[str, tuple[str, ...]] = {
    name: tuple(text.split(";"))
    for name, text in {
        "color": "red;blue;green;yellow;purple;orange;teal;maroon;navy blue;olive green;turquoise;ivory;charcoal gray;crimson;gold;"
        "silver;lavender;beige;magenta;scarlet;sky blue;mustard yellow;emerald green;coral;indigo",
        "material": "oak wood;stainless steel;carbon fiber;recycled plastic;granite;marble;bamboo;leather;cotton;wool;silk;ceramic;"
        "glass;titanium;aluminum;brass;bronze;concrete;linen;rubber;cork;graphite;nylon;clay;limestone",
        "animal": "otter;red panda;barn owl;snow leopard;sea turtle;mountain goat;gray wolf;humpback whale;honey bee;king penguin;"
        "wild boar;golden eagle;hedgehog;lynx;beaver;octopus;salmon;peacock;crane;badger;camel;bison;gecko;dolphin;raven",
        "food": "apple pie;lentil soup;roasted chestnuts;rye bread;goat cheese;fried rice;pumpkin stew;dark chocolate;plum dumplings;"
        "grilled fish;onion soup;honey cake;potato pancakes;mushroom risotto;pickled cucumbers;spicy noodles;almond cookies;"
        "lemon tart;vegetable curry;smoked salmon;bean salad;walnut bread;rice pudding;tomato soup;fig jam",
        "language": "Portuguese;Swahili;Finnish;Korean;Hungarian;Tamil;Arabic;Icelandic;Vietnamese;Basque;Greek;Hebrew;Turkish;"
        "Quechua;Polish;Dutch;Bengali;Czech;Welsh;Amharic;Persian;Catalan;Estonian;Malay;Urdu",
        "currency": "silver crown;gold mark;paper florin;new dinar;copper penny;royal ducat;blue franc;sea shilling;hill dollar;"
        "star peso;iron lira;river krone;sun rupee;moon rand;forest real;grand guilder;common pound;free thaler;salt token;old groat",
        "job": "marine biologist;tax lawyer;bridge engineer;pastry chef;airline pilot;museum curator;violin maker;data analyst;"
        "school teacher;heart surgeon;forest ranger;stage actor;chess coach;wine merchant;film editor;city planner;watchmaker;"
        "war reporter;physics professor;fire fighter;opera singer;landscape painter;radio host;ship captain;glass blower",
        "sport": "fencing;rowing;table tennis;ice hockey;rock climbing;archery;water polo;badminton;figure skating;judo;cycling;"
        "handball;long jump;sailing;wrestling;volleyball;curling;surfing;cricket;golf;skiing;rugby;karate;swimming;diving",
        "instrument": "cello;bass clarinet;steel drum;church organ;harp;banjo;oboe;French horn;accordion;viola;bamboo flute;marimba;"
        "mandolin;trumpet;lute;harpsichord;double bass;tuba;sitar;bagpipes;electric guitar;piccolo;zither;ukulele;bassoon",
        "weather": "heavy rain;dense fog;light snow;dry heat;strong wind;thunderstorms;clear skies;hail;morning mist;drizzle;"
        "sandstorms;freezing rain;mild sunshine;cold drafts;monsoon rain;ground frost;warm breeze;low clouds;humid nights;blizzards",
        "industry": "shipbuilding;solar energy;textile printing;dairy farming;software design;copper mining;paper milling;bee keeping;"
        "film production;salt trading;medical imaging;furniture making;robotics;river tourism;wine growing;satellite launches;"
        "shoe making;seed breeding;toy design;cement making;wind power;book publishing;fish farming;watch repair;air freight",
        "disease": "asthma;migraine;back pain;seasonal allergies;insomnia;high blood pressure;joint inflammation;eczema;motion "
        "sickness;anemia;tooth decay;bronchitis;vertigo;heartburn;muscle cramps;night blindness;sunburn;hay fever;sore throat;gout",
        "license": "MIT License;Apache License 2.0;GNU General Public License;Creative Commons Attribution;BSD 3-Clause;public domain;"
        "Mozilla Public License;proprietary license;academic use only;European Union Public Licence",
        "frequency": "every Monday;twice a week;once a month;every second Friday;daily at noon;every quarter;once a year;every six "
        "hours;on weekdays;on the first Tuesday;every ten minutes;each spring;every leap year;at midnight;hourly",
        "gemstone": "ruby;sapphire;opal;amethyst;garnet;topaz;jade;onyx;moonstone;emerald;agate;pearl;turquoise;quartz;amber;zircon",
        "vehicle": "cargo bike;night train;hot air balloon;sailing ship;electric bus;cable car;snow sled;river barge;motor scooter;"
        "horse cart;fire truck;water taxi;mountain bike;glider;hover craft;delivery van;steam engine;tram;ferry boat;jeep",
        "status": "active;retired;under construction;out of stock;approved;suspended;in beta testing;on hold;sold out;archived;"
        "awaiting review;cancelled;fully operational;partly damaged;open to the public;closed for repairs",
        "genre": "jazz;science fiction;folk music;detective novel;chamber music;romantic comedy;epic poetry;documentary;ballet;"
        "puppet theater;street art;heavy metal;fairy tale;war drama;landscape photography;silent film;opera;travel writing",
        "shape": "hexagonal;spiral;oval;perfectly round;triangular;cube shaped;cylindrical;star shaped;crescent;flat disc;pyramid;"
        "egg shaped;octagonal;diamond shaped;ring shaped;long and narrow;dome;wedge shaped",
        "season": "early spring;late summer;mid winter;autumn;the rainy season;the dry season;harvest time;the shortest day;"
        "midsummer;the first snow;the month of May;the cherry blossom weeks",
        "chemical": "sodium chloride;sulfuric acid;calcium carbonate;ammonia;ethanol;citric acid;copper sulfate;hydrogen peroxide;"
        "acetone;potassium nitrate;methane;silver nitrate;lactic acid;zinc oxide;iron oxide;glycerol;benzene;ozone;urea;helium",
    }.items()
}

CHINESE = (
    "人工智能 数据库 语言模型 北京 上海 杭州 成都 苹果 红色 蓝色 工程师 老师 医生 音乐 历史 数学 物理 化学 森林 河流 高山 大海 春天 "
    "夏天 秋天 冬天 手机 电脑 网络 公司 学校 医院 图书馆 博物馆 火车 飞机 轮船 汽车 桥梁 花园 龙 凤凰 老虎 熊猫 茶叶 丝绸 瓷器 "
    "竹子 米饭 面条 豆腐 早上 晚上 星期一 星期五 太阳 月亮 星星 技术 系统 方法 工具 知识 研究 设计 管理 服务 市场 质量 安全 能源 "
    "环境 教育 文化 艺术 体育 足球 篮球 科学 实验 材料 结构 温度 速度 重量 长度 颜色 价格 时间 地点 名称 用途 作者 年份 国家 城市"
).split()

JAPANESE = (
    "東京 大阪 京都 札幌 福岡 桜 富士山 電車 新幹線 会社 学校 病院 図書館 美術館 先生 医者 技術者 音楽 歴史 数学 物理 化学 森 川 海 "
    "春 夏 秋 冬 りんご みかん 寿司 ラーメン 味噌汁 お茶 赤 青 緑 黒 白 コンピュータ データ ネットワーク プログラム システム モデル "
    "カメラ テレビ ロボット エネルギー 研究 設計 管理 品質 安全 環境 教育 文化 芸術 サッカー 野球 柔道 科学 実験 材料 温度 速度 "
    "重さ 長さ 色 値段 時間 場所 名前 目的 作者 国 都市 朝 夜 月曜日 金曜日 太陽 月 星 犬 猫 鳥 魚 馬"
).split()
