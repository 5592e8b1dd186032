"""The iteration of DAFormer and MIC with the releases' order of passes, in plain PyTorch, to compare time and memory.

Written from a description of the released code. It computes the same as :class:`mmseg_adapt.methods.MIC`, on the same
modules and with the same augmentation, and keeps what the releases keep: the source's graph for the second backward
pass of the feature distance, and every dict of losses, with its graph, until the iteration ends.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_adapt.methods.mixing import class_mask, draw_block_mask, draw_classes, hide, mix


class ReleasedLoop:
    """One iteration of DAFormer, and with ``masked`` of MIC, on the parts of an adapter.

    Args:
        model: a :class:`~mmseg_adapt.methods.DAFormer`; with ``masked`` a :class:`~mmseg_adapt.methods.MIC`.
        optimizer: the optimiser of its segmentor.
        masked: whether to run the fourth pass, that of MIC.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, masked: bool) -> None:
        self.model, self.optimizer, self.masked = model, optimizer, masked
        self.t = 0

    def losses(self, images: Tensor, labels: Tensor, weight: Tensor | None = None) -> dict:
        features = self.model.segmentor.extract_feat(images)
        logits = self.model.segmentor.decode_head(features)
        logits = F.interpolate(logits, labels.shape[1:], mode='bilinear', align_corners=False)
        loss = F.cross_entropy(logits, labels, ignore_index=255, reduction='none')
        accuracy = (logits.argmax(1) == labels).float().mean()
        return dict(features=features, loss=(loss if weight is None else loss * weight).mean(), accuracy=accuracy)

    def feature_distance(self, features: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        classes, ratio = self.model.feature_distance['classes'], self.model.feature_distance['min_ratio']
        with torch.no_grad():
            anchor = self.model.imagenet(images)[-1]
            stride = labels.shape[1] // features.shape[2]
            one_hot = F.one_hot(torch.where(labels == 255, 19, labels), 20).permute(0, 3, 1, 2).float()
            share, cell = F.avg_pool2d(one_hot, stride).max(1)
            cell[share < ratio] = 255
            things = torch.isin(cell, torch.tensor(classes, device=cell.device))
        distance = (features - anchor).norm(dim=1)[things]
        return self.model.weight_fd * (distance.mean() if len(distance) else 0 * features.sum())

    def follow(self) -> None:
        a = min(1 - 1 / (self.t + 1), self.model.alpha)
        for mine, theirs in zip(self.model.teacher.parameters(), self.model.segmentor.parameters()):
            mine.data[:] = a * mine.data + (1 - a) * theirs.data

    def iteration(self, images: Tensor, labels: Tensor, target: Tensor, generator: torch.Generator) -> dict[str, float]:
        self.optimizer.zero_grad()
        self.follow()
        source = self.losses(images, labels)
        source['loss'].backward(retain_graph=True)
        distance = self.feature_distance(source['features'][-1], images, labels)
        distance.backward()

        teacher = self.model.teacher
        logits = teacher.decode_head(teacher.extract_feat(target))
        logits = F.interpolate(logits, target.shape[2:], mode='bilinear', align_corners=False)
        confidence, pseudo = torch.softmax(logits.detach(), dim=1).max(1)
        q = (confidence >= self.model.pseudo_threshold).sum() / confidence.numel()
        weight = q * torch.ones_like(confidence)
        weight[:, : self.model.ignore_top] = 0
        weight[:, weight.shape[1] - self.model.ignore_bottom :] = 0

        mask = class_mask(labels, draw_classes(labels, generator))
        pasted = self.model.augmented(mix(mask, images, target), generator)
        mixed = self.losses(pasted, mix(mask, labels, pseudo), mix(mask, 1.0, weight))
        mixed['loss'].backward()
        if self.masked:
            settings = self.model.mask
            seen = self.model.augmented(target, generator, together=True)
            visible = draw_block_mask(len(target), target.shape[2:], settings['block'], settings['ratio'], generator)
            hidden = self.losses(hide(seen, visible), pseudo, weight)
            hidden['loss'].backward()
        self.optimizer.step()
        self.t += 1
        log = dict(source=source['loss'], distance=distance, mixed=mixed['loss'])
        log |= dict(masked=hidden['loss']) if self.masked else {}
        return {name: value.item() for name, value in log.items()}
