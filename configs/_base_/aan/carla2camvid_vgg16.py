# CARLA's frames in CamVid's style, at their size, with VGG-16 fine-tuned on edges, plus the colours, which edges hardly
# encode: tools/analysis/benchmark_aan.py compares the two encoders.
_base_ = './vgg16_hed.py'
aan = dict(
    encoder=dict(layers=['colour', 'relu1_2', 'relu2_2', 'relu3_3', 'relu4_3', 'relu5_3']),
    objective=dict(content_weights=dict(colour=0.0), style_weights=dict(colour=30.0)),
    content=[dict(type='LoadImage')],
    style=[
        dict(type='LoadImage'),
        dict(type='CropBox', top=52, bottom=212),
        dict(type='Resize', scale=(160, 80), keep_ratio=False, interpolation='bicubic', backend='pillow'),
    ],
)
