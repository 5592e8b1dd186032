# DACS on two resolutions (HRDA's segmentor), Cityscapes → IDD-Lite on the CPU: the context at half size, detail from
# windows of 128×64, one backbone and one head. Compare with cs2idd_dacs. Ours: docs/results.md.
#   python tools/train.py configs/real/cs2idd_hrda_dacs.py
_base_ = './cs2idd_dacs.py'
model = dict(
    segmentor=dict(
        type='HRDASegmentor',
        detail_crop=(64, 128),
        attention_head=_base_.model.segmentor.decode_head,
        test_cfg=dict(_delete_=True, mode='whole'),
    )
)
