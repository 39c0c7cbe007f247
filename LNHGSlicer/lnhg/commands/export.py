"""`lnhg export`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..errors import InputError
from .arguments import add_choice_of_scan, add_fold
from .common import add_command, print_files

_NNUNET = """then, in an environment of its own with nnunetv2, with nnUNet_raw, nnUNet_preprocessed, nnUNet_results:
  nnUNetv2_plan_and_preprocess -d 501 -c 2d --verify_dataset_integrity
  cp $nnUNet_raw/Dataset501_LungNodules/splits_final.json $nnUNet_preprocessed/Dataset501_LungNodules
  nnUNetv2_train 501 2d 0 -device cpu
  nnUNetv2_predict -i $nnUNet_raw/Dataset501_LungNodules/imagesTs -o predictions -d 501 -c 2d -f 0 -device cpu
  lnhg evaluate predictions $nnUNet_raw/Dataset501_LungNodules/labelsTs --alike
  lnhg study --data DATA --output page --labels nnu-net=predictions --alike nnu-net
"""


def add(commands: Any) -> None:
    parser = commands.add_parser("export", help="write the results of a run, or the training data, in another format")
    formats = parser.add_subparsers(required=True, metavar="FORMAT")
    dicom = add_command(formats, "dicom", _export_dicom, "write nodules and measurements as DICOM SEG and SR")
    dicom.add_argument("results", type=Path, help="folder that segment wrote")
    dicom.add_argument("--source", type=Path, required=True, help="DICOM folder of the CT that was segmented")
    add_choice_of_scan(dicom)
    dicom.add_argument("--output", type=Path, required=True, help="folder for the DICOM files")
    redcap = add_command(formats, "redcap", _export_redcap, "write nodules, answers and categories for REDCap")
    redcap.add_argument("results", type=Path, nargs="+", help="folders that segment wrote, each a study")
    redcap.add_argument("--output", type=Path, required=True, help="folder for dictionary.csv and records.csv")
    nnunet = add_command(formats, "nnunet", _export_nnunet, "write the nodule cut-outs as a raw dataset of nnU-Net 2")
    nnunet.epilog = _NNUNET
    nnunet.formatter_class = argparse.RawDescriptionHelpFormatter
    nnunet.add_argument("--data", type=Path, required=True, help="folder with lidc_nodules/")
    nnunet.add_argument("--output", type=Path, required=True, help="nnU-Net's folder nnUNet_raw")
    nnunet.add_argument("--number", type=int, default=501, help="number of the dataset (default: 501)")
    what = "write what the generator trains on as one small file, for a machine that the data do not reach"
    training = add_command(formats, "training", _export_training, what)
    training.epilog = "then: lnhg train generator --data FILE --output runs/generator --device cuda --precision bf16"
    training.add_argument("--data", type=Path, required=True, help="data folder or cache, as for lnhg train")
    training.add_argument("--output", type=Path, required=True, help="the file")
    add_fold(training)


def _export_training(arguments: argparse.Namespace) -> None:
    from ..data.splits import SCAN_FOLDS
    from ..training.generator_config import PATCHES
    from ..training.generator_run import pack_training_data
    from ..training.packed_places import is_packed

    if not arguments.data.is_dir():
        raise InputError(f"{arguments.data} is no folder; give the data folder or a cache.")
    if os.path.lexists(arguments.output) and not is_packed(arguments.output):
        raise InputError(f"{arguments.output} holds something else and would be replaced; choose another file.")
    pack_training_data(PATCHES, arguments.data, arguments.output, SCAN_FOLDS[arguments.fold])
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.1f} MB")


def _export_dicom(arguments: argparse.Namespace) -> None:
    from ..followup.tracking_uids import tracking_in
    from ..readers.read_ct import read_ct
    from ..writers.dicom import remarks, write_dicom
    from ..writers.read_back import check_is_result, load_result

    check_is_result(arguments.results)
    ct = read_ct(arguments.source, arguments.series, arguments.scan)
    result = load_result(arguments.results, ct)
    made_from = result.ct.source
    if made_from.get("format") == "dicom" and made_from.get("sha256") != ct.source["sha256"]:
        raise InputError(
            f"The results were made from another CT than that in {arguments.source}; give its folder or series."
        )
    paths = write_dicom(result, arguments.source, arguments.output, tracking_in(arguments.results))
    for remark in remarks(result.ct):
        print(f"Note: {remark}")
    print_files(paths)


def _export_redcap(arguments: argparse.Namespace) -> None:
    from ..writers.read_back import load_reading
    from ..writers.redcap import record_rows, write_redcap

    names = [folder.resolve().name for folder in arguments.results]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"Two of the folders are named {twice}, which REDCap would take for one study; give each study's folder a "
            "name of its own."
        )
    rows = [
        row
        for name, folder in zip(names, arguments.results, strict=True)
        for row in record_rows(name, *load_reading(folder))
    ]
    print_files(write_redcap(arguments.output, rows))


def _export_nnunet(arguments: argparse.Namespace) -> None:
    from ..data.nnunet import write_nnunet

    print(write_nnunet(arguments.data, arguments.output, arguments.number))
