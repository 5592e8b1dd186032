# Only the BN statistics are adapted, on the two generated domains of the demo.
#   python tools/train.py configs/demo/streets_target_bn.py
_base_ = './streets_singlelevel.py'
model = dict(discriminator=dict(_delete_=True), lambda_adv=dict(_delete_=True))
optim_wrapper = dict(discriminator=dict(_delete_=True))
