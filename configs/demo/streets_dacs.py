# DACS on the two generated domains of the demo.
#   python tools/train.py configs/demo/streets_dacs.py
_base_ = './streets_singlelevel.py'
model = dict(
    _delete_=True,
    type='DACS',
    segmentor=_base_.model.segmentor,
    alpha=0.99,  # the mean of 100 steps: a run has 500
    jitter=dict(strength=0.2, prob=0.8),
    blur=dict(prob=0.5),
)
optim_wrapper = dict(discriminator=dict(_delete_=True))
