from .build import build_experiment as build_experiment
from .demo import DemoResult as DemoResult
from .demo import run_demo as run_demo
from .experiment import Experiment as Experiment
from .recipe import Recipe as Recipe
from .recipe_file import check_recipe as check_recipe
from .recipe_file import setting_names as setting_names
from .run_directory import claim_directory as claim_directory
