"""The projection head g: z = g(h) is what the loss sees, h is what is kept (Sections 2.1, 4.2)."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from .doors import check_classifier, check_head, check_rows
from .layers import BatchNorm, dense


class ProjectionHead(nn.Module):
    """`layers` dense layers without bias, each followed by batch norm, with ReLU in between.

    `layers` 0 is the identity ("none" in Figure 8), 1 is linear, 2 is the paper's v1 head and 3 is
    v2's. Hidden layers are as wide as h. The last batch norm has a scale but no offset. `forward`
    takes h (N, features) and returns z (N, `projection_dim`), or h itself if `layers` is 0. With
    `batch_norm=False` the layers have a bias instead (notebook 08 shows what that costs). Anything
    else is refused with a `ValueError`.
    """

    def __init__(
        self,
        features: int,
        layers: int = 2,
        projection_dim: int = 128,
        batch_norm: bool = True,  # noqa: FBT001, FBT002
        *,
        generator: Generator,
    ) -> None:
        super().__init__()
        check_head(features, layers, projection_dim, batch_norm, generator)
        self.layers, self.inputs = nn.ModuleList(), features
        for index in range(layers):
            last = index == layers - 1
            width = projection_dim if last else features
            layer = dense(features, width, bias=not batch_norm, generator=generator)
            norm = [BatchNorm(width, beta=not last)] if batch_norm else []
            self.layers.append(nn.Sequential(layer, *norm, *([] if last else [nn.ReLU()])))
        self.features = projection_dim if layers else features

    def stages(self, h: Tensor) -> list[Tensor]:
        """[h, after layer 1, ..., z]: fine-tuning may start from any of them (v2, Section 2).

        Entry `ft_proj_selector` of the official code; hidden entries are after batch norm and
        ReLU. 0 is the encoder's output and -1 the head's.
        """
        check_rows(h, self.inputs)
        outputs = [h]
        for layer in self.layers:
            outputs.append(layer(outputs[-1]))
        return outputs

    def forward(self, h: Tensor) -> Tensor:
        return self.stages(h)[-1]


def linear_classifier(features: int, classes: int, *, generator: Generator) -> nn.Linear:
    """The supervised head: one dense layer with bias, (N, features) to logits (N, classes)."""
    check_classifier(features, classes, generator)
    return dense(features, classes, bias=True, generator=generator)
