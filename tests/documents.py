"""Texts of workflows for the tests of parsing."""

from hcrc.compiler.parse import (
    Node,
    parse,
)

WORKFLOW = """\
hcrc: 1
name: SvB
parameters:                       # typed
  user:   {type: string, default: "{env:USER}", help: user name}
  norm:   {type: number, default: 6, help: "total: ZZ, ZH"}
  offset: {type: range, default: '0-2 4-6 8'}
include: [hcr/datasets.yml, hcr/svb.yml]
tasks:
  train:
    task: train
    kfolds: 3
    classifier: &svb HCR.SvB
    datasets:
    - {use: HCR, norm: "{norm}"}
    - *svb
    note: |
      two
      lines

    long: a plain text
      over two lines
settings:
  torch.DataLoader: {batch_eval: 1e5, empty: }
"""


def good(text: str) -> Node:
    document, diagnostics = parse(text, "w.yml")
    assert diagnostics == []
    assert document.root is not None
    return document.root
