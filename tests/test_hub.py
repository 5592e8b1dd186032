"""Models on the Hub: pushed to a stand-in server, fetched from it, and nothing that was fetched is run."""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_adapt import Predictor
from mmseg_adapt.compat.registered_types import registered_types_only
from mmseg_adapt.errors import UserError
from mmseg_adapt.export import export_segmentor, hub
from mmseg_adapt.export.card_head import card_head
from mmseg_adapt.export.model_json import read_model_json, write_model_json
from mmseg_adapt.export.plain import plain_config
from mmseg_adapt.files.config import config_of, shipped

from .hub_server import TOKEN, serving
from .test_training import failure
from .tiny import random_checkpoint, run_tool, tiny_config


@pytest.fixture(scope='module')
def trained(street_data, tmp_path_factory) -> Path:
    """A folder with tiny.py, whose pipeline has tuples, run/iter_2.pth, its log, and the export."""
    folder = tmp_path_factory.mktemp('hub')
    cfg = tiny_config('demo/streets_multilevel.py', street_data, folder / 'run')
    cfg.test_pipeline.insert(1, dict(type='Resize', scale=(128, 64), keep_ratio=True))
    cfg.test_dataloader.dataset.pipeline = cfg.test_pipeline
    cfg.dump(folder / 'tiny.py')
    random_checkpoint(cfg, folder / 'run/iter_2.pth')
    log = folder / 'run/20260101/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({'mIoU': 12.344, 'IoU.road': 56.78, 'step': 2}))
    export_segmentor(Config.fromfile(folder / 'tiny.py'), str(folder / 'run/iter_2.pth'), folder / 'exported')
    return folder


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving() as found:
        monkeypatch.setattr(huggingface_hub.constants, 'ENDPOINT', found.endpoint)
        address = '/{repo_id}/resolve/{revision}/{filename}'
        monkeypatch.setattr(huggingface_hub.constants, 'HUGGINGFACE_CO_URL_TEMPLATE', found.endpoint + address)
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE', str(tmp_path / 'cache'))
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_DISABLE_XET', True)
        monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_DISABLE_IMPLICIT_TOKEN', False)
        monkeypatch.setenv('HF_TOKEN', TOKEN)
        monkeypatch.delenv('MMSEG_ADAPT_UNSAFE', raising=False)
        yield found


@pytest.fixture
def image(street_data) -> Path:
    return street_data / 'target/val/images/00000.png'


def test_a_pushed_model_is_fetched_and_predicts_the_same(trained, server, image, tmp_path, monkeypatch, capsys):
    arguments = (trained / 'tiny.py', trained / 'run/iter_2.pth', tmp_path / 'out', '--push', 'jane/streets')
    run_tool('export_segmentor.py', *arguments, monkeypatch=monkeypatch)
    said = capsys.readouterr().out
    assert f"pushed to {server.endpoint}/jane/streets: Predictor('hf://jane/streets') uses it" in said
    ((commit, files),) = server.repositories['jane/streets'].commits.items()
    assert files.keys() == {'README.md', 'config.py', 'model.json', 'model.pth'}  # and not .mmseg_adapt.json
    assert all(content == (tmp_path / 'out' / name).read_bytes() for name, content in files.items())
    assert list(server.objects.values()) == [files['model.pth']]
    assert "Predictor('hf://jane/streets')" in files['README.md'].decode()
    expected = Predictor(trained / 'tiny.py', trained / 'run/iter_2.pth', device='cpu')
    monkeypatch.delenv('HF_TOKEN')  # it is public
    for name in ('hf://jane/streets', f'hf://jane/streets@{commit}', 'hf://jane/streets@main'):
        found = Predictor(name, device='cpu')
        assert found.classes == expected.classes
        assert found.palette == expected.palette
        assert np.array_equal(found(image).labels, expected(image).labels)
    fetched = {path.rpartition('/')[2] for path in server.asked if path.startswith('GET') and '/resolve/' in path}
    assert fetched == {'model.json', 'model.pth'}
    run_tool('predict.py', 'hf://jane/streets', image, '--out', tmp_path / 'predicted', monkeypatch=monkeypatch)
    assert (tmp_path / 'predicted/labels/00000.png').is_file()


def test_a_revision_is_the_model_of_that_commit_and_a_fetched_one_needs_no_network(
    trained, server, image, tmp_path, monkeypatch
):
    first, second = (shutil.copytree(trained / 'exported', tmp_path / name) for name in ('first', 'second'))
    checkpoint = torch.load(second / 'model.pth', weights_only=True)
    checkpoint['meta']['dataset_meta']['classes'][0] = 'street'
    torch.save(checkpoint, second / 'model.pth')
    for folder in (first, second):
        hub.push(folder, 'jane/streets', private=True)
    old, new = server.repositories['jane/streets'].commits
    server.repositories['jane/streets'].tags['v1'] = old
    assert server.repositories['jane/streets'].private
    names = {revision: hub.fetch(f'hf://jane/streets{revision}').name for revision in ('', '@v1', f'@{old}', '@main')}
    assert names == {'': new, '@v1': old, f'@{old}': old, '@main': new}
    assert Predictor('hf://jane/streets', device='cpu').classes[0] == 'street'
    server.shutdown()
    server.socket.close()
    assert Predictor('hf://jane/streets@v1', device='cpu').classes[0] == 'road'


EVIL = """
import pathlib
pathlib.Path({marker!r}).touch()
model = dict()
"""


def test_a_fetched_config_is_never_run_nor_is_code_in_weights(trained, server, tmp_path, monkeypatch):
    marker = tmp_path / 'was run'
    folder = shutil.copytree(trained / 'exported', tmp_path / 'evil')
    (folder / 'config.py').write_text(EVIL.format(marker=str(marker)))
    hub.push(folder, 'eve/model')
    Predictor('hf://eve/model', device='cpu')
    Predictor(folder, device='cpu')  # an exported folder that somebody passed on
    assert not marker.exists()

    class Code:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    torch.save(dict(state_dict={}, meta=Code()), folder / 'model.pth')
    hub.push(folder, 'eve/model')
    with pytest.raises(UserError, match='would execute code'):
        Predictor('hf://eve/model')
    monkeypatch.setenv('MMSEG_ADAPT_UNSAFE', '1')
    with pytest.raises(UserError, match='hf://eve/model: downloaded weights are never allowed to execute code: remove'):
        Predictor('hf://eve/model')
    assert not marker.exists()


def test_the_scope_of_a_config_that_inherits_by_the_package_s_name_is_allowed(trained, tmp_path):
    folder = shutil.copytree(trained / 'exported', tmp_path / 'inherited')
    data = json.loads((folder / 'model.json').read_text())
    data['model']['_scope_'] = data['model']['decode_head']['_scope_'] = 'mmseg_adapt'
    (folder / 'model.json').write_text(json.dumps(data))
    image = np.zeros((32, 48, 3), np.uint8)
    assert np.array_equal(Predictor(folder)(image).labels, Predictor(trained / 'exported')(image).labels)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('model', dict(type='os.mkdir', path='MARKER')),
        ('pipeline', [dict(type='LoadImage'), dict(type='os.mkdir', path='MARKER')]),
        ('model', dict(type='EncoderDecoder', backbone=dict(type='pathlib.Path.touch', self='MARKER'))),
        ('model', dict(type='EncoderDecoder', backbone=[dict(neck=(dict(type='os.mkdir', path='MARKER'),))])),
        ('model', dict(type='EncoderDecoder', _scope_='antigravity')),
        ('model', dict(type='VPD', diffusion_cfg=dict(target='os.mkdir'))),
        ('pipeline', [dict(type='Albu', transforms=[dict(type='os.mkdir')])]),
        ('model', dict(type=['os.mkdir'])),
    ],
)
def test_a_model_that_names_code_is_refused_and_nothing_is_run(key, value, trained, tmp_path):
    folder = shutil.copytree(trained / 'exported', tmp_path / 'evil')
    data = json.loads((folder / 'model.json').read_text())
    text = json.dumps({**data, key: value}).replace('MARKER', str(tmp_path / 'was run'))
    (folder / 'model.json').write_text(text)
    with pytest.raises(
        UserError, match='model.json contains the type .*, which OpenMMLab and mmseg_adapt do not define'
    ):
        Predictor(folder)
    assert not (tmp_path / 'was run').exists()


def test_mmengine_imports_what_a_type_spells_and_not_while_a_model_is_built_from_data(tmp_path):
    spelled = dict(type='os.mkdir', path=str(tmp_path / 'made'))
    with registered_types_only(), pytest.raises(KeyError, match='os.mkdir is not in the'):
        MODELS.build(dict(spelled))
    assert not (tmp_path / 'made').exists()
    MODELS.build(dict(spelled))
    assert (tmp_path / 'made').exists()


def test_the_model_as_data_is_the_config_tuples_included(trained, tmp_path):
    config = Config.fromfile(trained / 'exported/config.py')
    found = read_model_json(trained / 'exported/model.json')
    assert found.model.to_dict() == config.model.to_dict()
    steps = [step for step in config.test_dataloader.dataset.pipeline if step.type != 'LoadLabels']
    assert found.test_dataloader.dataset.pipeline == steps
    assert isinstance(found.test_dataloader.dataset.pipeline[1].scale, tuple)
    assert found.test_dataloader.dataset.metainfo.classes[0] == 'road'
    config.model.backbone.depths = {1: 2}
    with pytest.raises(UserError, match=r'backbone: depths is {1: 2}, which JSON cannot store'):
        write_model_json(config, dict(classes=[], palette=[]), tmp_path / 'model.json')


def check_data(name: str, file: Path) -> None:
    config = plain_config(config_of(name))
    write_model_json(config, dict(classes=['a'], palette=[[1, 2, 3]]), file)
    assert read_model_json(file).model.to_dict() == config.model.to_dict()


def test_a_config_that_inherits_from_mmsegmentation_is_exported_as_data(tmp_path):
    check_data('adaptseg/gta2cs_segformer_b0', tmp_path / 'model.json')


@pytest.mark.slow
def test_every_config_that_comes_with_the_package_is_exported_as_data(tmp_path):
    for name in shipped():
        check_data(name, tmp_path / 'model.json')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', 'model.json was not written by an export'),
        ('[]', 'model.json was not written by an export'),
        ('{"version": 1, "model": {}}', 'model.json was not written by an export'),
        ('{"version": 1, "model": {"type": "ReLU"}, "pipeline": [3], "classes": []}', 'was not written by an export'),
        (None, 'model.json has version 2, but this package reads 1: install a newer mmseg_adapt'),
    ],
)
def test_a_broken_or_later_model_file_is_one_sentence(text, message, trained, tmp_path):
    whole = (trained / 'exported/model.json').read_text()
    (tmp_path / 'model.json').write_text(text or whole.replace('"version": 1', '"version": 2'))
    with pytest.raises(UserError, match=message):
        Predictor(tmp_path)


def test_a_model_that_needs_code_of_others_is_exported_without_model_json_and_not_pushed(
    trained, server, tmp_path, image
):
    (tmp_path / 'their_heads.py').write_text(
        'from mmseg.models import FCNHead\nfrom mmseg.registry import MODELS\n\n\n'
        '@MODELS.register_module()\nclass TheirHead(FCNHead):\n    pass\n'
    )
    spec = importlib.util.spec_from_file_location('their_heads', tmp_path / 'their_heads.py')
    sys.modules['their_heads'] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules['their_heads'])
    cfg = Config.fromfile(trained / 'tiny.py')
    head = dict(type='TheirHead', in_channels=128, in_index=3, channels=8, num_convs=1, num_classes=8)
    cfg.model.segmentor.decode_head = head
    cfg.custom_imports.imports.append('their_heads')
    cfg.dump(tmp_path / 'theirs.py')
    checkpoint = random_checkpoint(cfg, tmp_path / 'theirs.pth')
    out = export_segmentor(Config.fromfile(tmp_path / 'theirs.py'), str(checkpoint), tmp_path / 'out')
    assert not (out / 'model.json').exists()
    assert Predictor(out, device='cpu')(image).labels.shape == (96, 192)  # from config.py, the user's own
    with pytest.raises(UserError, match='out has no model.json, so using it would mean running its config: export'):
        hub.push(out, 'jane/theirs')
    assert server.repositories == {}


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('hf://jane', 'hf://jane is not the name of a model: write hf://USER/NAME or hf://USER/NAME@REVISION'),
        ('hf://jane/a/b', 'is not the name of a model'),
        ('hf://jane/absent', r'hf://jane/absent cannot be downloaded .the Hub answered 401.: check the name; if the'),
        ('hf://jane/secret', 'check the name; if the repository is private, run hf auth login or set HF_TOKEN'),
        ('hf://jane/other@v9', r'cannot be downloaded .the Hub answered 404.: after @, write a branch, a tag or'),
        ('hf://jane/other', 'hf://jane/other has no model.json: choose a model that was uploaded with'),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(name, message, trained, server, tmp_path, monkeypatch):
    hub.push(trained / 'exported', 'jane/secret', private=True)
    huggingface_hub.HfApi().create_repo('jane/other')
    server.repositories['jane/other'].commit({'README.md': b'a model of another package'})
    monkeypatch.delenv('HF_TOKEN')
    monkeypatch.setattr(huggingface_hub.constants, 'HF_TOKEN_PATH', str(tmp_path / 'none'))
    with pytest.raises(UserError, match=message):
        Predictor(name)


def test_without_a_network_a_model_that_was_never_fetched_is_one_sentence(server):
    server.shutdown()
    server.socket.close()
    with pytest.raises(UserError, match='hf://jane/streets cannot be downloaded .*: check the network, or export'):
        Predictor('hf://jane/streets')


def test_what_cannot_be_pushed_is_one_sentence_before_or_after_the_folder_is_written(
    trained, server, tmp_path, monkeypatch, capsys
):
    def said(repository: str) -> str:
        arguments = (trained / 'tiny.py', trained / 'run/iter_2.pth', tmp_path / 'out', '--push', repository)
        return failure('export_segmentor.py', *arguments, monkeypatch=monkeypatch, capsys=capsys)

    assert '--push streets must be USER/NAME, the name of a repository on the Hub' in said('streets')
    monkeypatch.setenv('HF_TOKEN', '')
    monkeypatch.setattr(huggingface_hub.constants, 'HF_TOKEN_PATH', str(tmp_path / 'none'))
    assert '--push needs an access token for the Hub: run hf auth login, or set HF_TOKEN' in said('jane/streets')
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv('HF_TOKEN', 'hf_of_another')
    message = said('jane/streets')
    assert 'out is written, but cannot be pushed to jane/streets (the Hub answered 401): fix that, then run:' in message
    assert message.endswith(f'hf upload jane/streets {tmp_path}/out')
    assert (tmp_path / 'out/model.pth').is_file()
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    for use in (lambda: hub.fetch('hf://jane/streets'), lambda: hub.check_push('jane/streets')):
        with pytest.raises(UserError, match=r"need huggingface_hub: run: pip install 'mmseg_adapt\[hub\]'"):
            use()


def test_the_head_of_the_card_is_what_the_hub_reads(trained):
    head, title = (trained / 'exported/README.md').read_text().split('---\n')[1:3]
    found = yaml.safe_load(head)
    assert found['library_name'] == 'mmseg_adapt'
    assert found['pipeline_tag'] == 'image-segmentation'
    assert found['license'] == 'other'
    assert found['metrics'] == ['mean_iou']
    card = huggingface_hub.ModelCard.load(trained / 'exported/README.md')
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.task_type) == ('mean_iou', 12.34, 'image-segmentation')
    assert title.startswith('\n# tiny\n')
    sets = [dict(type='GTADataset', data_root='data/gta'), dict(type='CityscapesDataset'), dict(type='GTADataset')]
    mine = dict(type='IdMappedDataset', data_root='/home/jane/My images/')
    head = yaml.safe_load(card_head('a', [*sets, mine, dict(type='IdMappedDataset')], None).split('---\n')[1])
    assert head['datasets'] == ['gta5', 'cityscapes', 'my-images']
    assert 'model-index' not in head
