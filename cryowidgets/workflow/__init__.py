"""Workflows as data: documents of steps and links, checked before anything runs."""

from cryowidgets.workflow.document import StepSpec, Workflow, check, ordered, read, templates

__all__ = ["StepSpec", "Workflow", "check", "ordered", "read", "templates"]
