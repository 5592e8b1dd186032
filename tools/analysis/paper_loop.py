"""AdaptSegNet's training loop in plain PyTorch: the reference for the tests and for the benchmark."""

import torch
import torch.nn.functional as F

LEVELS = ('decode', 'aux')
LAMBDA_SEG = dict(decode=1.0, aux=0.1)
LAMBDA_ADV = dict(decode=0.01, aux=0.002)


class PaperLoop:
    """AdaptSegNet's iteration as in the released code, written only from its description."""

    def __init__(self, model: torch.nn.Module, lsgan: bool = False) -> None:
        self.S, self.D = model.segmentor, model.discriminator
        self.criterion = F.mse_loss if lsgan else F.binary_cross_entropy_with_logits
        backbone = [p for n, p in self.S.named_parameters() if n.startswith('backbone.layer') and p.requires_grad]
        stem = [p for n, p in self.S.named_parameters() if n.startswith('backbone.conv1')]
        heads = [p for n, p in self.S.named_parameters() if 'head' in n]
        groups = [
            dict(params=stem),
            dict(params=backbone * 3),
            dict(params=heads, lr=1e-2),
        ]  # a tensor listed three times
        self.opt_s = torch.optim.SGD(groups, lr=1e-3, momentum=0.9, weight_decay=5e-4, foreach=False)
        self.opt_d = [torch.optim.Adam(self.D[level].parameters(), lr=1e-4, betas=(0.9, 0.99)) for level in LEVELS]

    def predict(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.S.backbone(image)
        logits = dict(decode=self.S.decode_head(features), aux=self.S.auxiliary_head(features))
        return {k: F.interpolate(v, image.shape[2:], mode='bilinear', align_corners=True) for k, v in logits.items()}

    def iteration(self, data: dict[str, dict]) -> dict[str, float]:
        SOURCE, TARGET, log = 0.0, 1.0, {}
        opts = [self.opt_s, *self.opt_d]
        for opt in opts:
            opt.zero_grad()
        for p in self.D.parameters():
            p.requires_grad = False
        x, y = (
            torch.stack(data['source']['inputs']),
            torch.cat([s.gt_sem_seg.data for s in data['source']['data_samples']]),
        )
        pred_s = self.predict(x)
        loss = 0
        for level in LEVELS:
            log[f'{level}.loss_ce'] = LAMBDA_SEG[level] * F.cross_entropy(pred_s[level], y, ignore_index=255)
            loss = loss + log[f'{level}.loss_ce']
        loss.backward()
        pred_t = self.predict(torch.stack(data['target']['inputs']))
        loss = 0
        for level in LEVELS:
            score = self.D[level](F.softmax(pred_t[level], dim=1))
            log[f'{level}.loss_adv'] = LAMBDA_ADV[level] * self.criterion(score, torch.full_like(score, SOURCE))
            loss = loss + log[f'{level}.loss_adv']
        loss.backward()
        for p in self.D.parameters():
            p.requires_grad = True
        for level in LEVELS:
            total = 0
            for pred, label in ((pred_s, SOURCE), (pred_t, TARGET)):
                score = self.D[level](F.softmax(pred[level].detach(), dim=1))
                loss = self.criterion(score, torch.full_like(score, label)) / 2
                loss.backward()
                total = total + loss
            log[f'discriminator.{level}.loss_dis'] = total
        for opt in opts:
            opt.step()
        return {name: value.item() for name, value in log.items()}
