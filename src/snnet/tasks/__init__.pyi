from snnet.tasks.classification import Classification as Classification
from snnet.tasks.task import TASKS as TASKS
from snnet.tasks.task import Task as Task
from snnet.tasks.task import build_task as build_task
from snnet.tasks.task import describe_task as describe_task
