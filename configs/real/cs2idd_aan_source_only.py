# AAN alone, Cityscapes → IDD-Lite on the CPU: source-only training on 200 images and their renders. Ours:
# docs/results.md.
#   python tools/render_aan.py configs/real/cs2idd_aan_source_only.py --count 200 \
#     --source data/cityscapes_small/images/train --target data/idd_lite/images/train --out data/aan/cs2idd
#   python tools/train.py configs/real/cs2idd_aan_source_only.py
_base_ = ['./cs2idd_source_only.py', '../_base_/aan/cs2idd.py']
load, *rest = _base_.source_pipeline
source_pipeline = [load, dict(type='AANStyleTransfer', renders='data/aan/cs2idd', prob=0.5), *rest]
rendered = [i * 1500 // 200 for i in range(200)]  # what --count 200 selects of 1500
train_dataloader = dict(dataset=dict(indices=rendered, pipeline=source_pipeline))
