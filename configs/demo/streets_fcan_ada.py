# FCAN's ablation, image-level discriminator ("ADA"), on the two generated domains of the demo. Ours: docs/results.md.
# Stage 2, from the checkpoint of streets_fcan_fcn.py.
#   python tools/train.py configs/demo/streets_fcan_ada.py
_base_ = './streets_fcan_ran.py'
model = dict(
    discriminator=dict(_delete_=True, backbone=dict(type='ImageDiscriminator', in_channels=128, channels=128)),
)
