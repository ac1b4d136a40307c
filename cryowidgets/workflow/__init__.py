"""Workflows as data: documents of steps and links, checked before anything runs."""

from cryowidgets.workflow.checks import check, ordered
from cryowidgets.workflow.document import Inert, StepSpec, Workflow
from cryowidgets.workflow.questions import Question
from cryowidgets.workflow.templates import Template, read

__all__ = ["Inert", "Question", "StepSpec", "Template", "Workflow", "check", "ordered", "read"]
