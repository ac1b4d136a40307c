"""A project: a folder that holds one session, and the short way to everything one does with it."""

from cryowidgets.project.project import Project
from cryowidgets.project.steps import ProjectWorkflow, Step

__all__ = ["Project", "ProjectWorkflow", "Step"]
