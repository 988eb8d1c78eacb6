"""Encoder f and projection head g."""

from .heads import ProjectionHead
from .resnet import ResNet, parameter_count

__all__ = ["ProjectionHead", "ResNet", "parameter_count"]
