from .classification import Classification as Classification
from .segmentation import Segmentation as Segmentation
from .task import TASKS as TASKS
from .task import Task as Task
from .task import build_task as build_task
from .task import describe_task as describe_task
