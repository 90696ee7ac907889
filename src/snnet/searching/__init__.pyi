from .candidates import all_cuts as all_cuts
from .candidates import some_routes as some_routes
from .finding import search as search
from .report import SCORES as SCORES
from .report import SEARCH as SEARCH
from .report import SearchReport as SearchReport
from .settings import USUAL_SEARCH as USUAL_SEARCH
from .settings import SearchSettings as SearchSettings
