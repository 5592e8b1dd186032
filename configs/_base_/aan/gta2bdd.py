# GTA5 in BDD100K's style, both at 1280×720.
_base_ = './gta2cs.py'
aan = dict(style=_base_.aan.content)
