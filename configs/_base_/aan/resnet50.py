# AAN with the paper's encoder and layers, a ResNet-50 at conv1, res2c, res3d, res4f, res5c. The paper gives α = 1e-14
# without its resolution or its layer weights; `balanced` gives the layers equal weight and makes α a plain number
# (docs/aan.md). The paper's text literally:
#   tools/render_aan.py … --paper --cfg-options aan.objective.weights=unit aan.objective.alpha=1e-14
aan = dict(
    encoder=dict(
        type='ResNetStyleEncoder',
        init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://detectron2/resnet50_caffe'),
    ),
    objective=dict(weights='balanced', alpha=1.0),
    fast=True,
)
