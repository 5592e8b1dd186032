# The optimisation of VFM-UDA++: AdamW 5e-5 for decoders, a tenth for the encoder and less for its lower blocks.
_base_ = './self_training.py'
optim_wrapper = dict(
    segmentor=dict(
        optimizer=dict(lr=5e-6),
        paramwise_cfg=dict(
            _delete_=True,
            layer_decay=0.9,
            norm_decay_mult=0.0,
            custom_keys=dict(head=dict(lr_mult=10), projection=dict(lr_mult=10)),
        ),
    )
)
