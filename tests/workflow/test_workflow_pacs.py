"""Results go to a real PACS and come back unchanged; strangers and hostile names get nowhere."""

import contextlib
import gc
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability"))
import scanner_series as scanner
import tiny_dce

from bolus import RESEARCH_USE, io
from bolus.core import QUANTITIES, FitStatus, Grid, LabelMap, Mask, ParameterMap, Provenance, Step
from bolus.errors import BolusError, Code
from bolus.io.pacs_receive import Listener, Receiver, receive
from bolus.io.pacs_send import Peer, echo, send
from bolus.workflows.config import Config
from bolus.workflows.dce_exam import run_dce_exam
from bolus.workflows.dce_inputs import DcePaths
from bolus.workflows.export_dicom import ExportRequest, export_dicom
from bolus.workflows.outputs import FlatNames

pydicom = pytest.importorskip("pydicom")
pynetdicom = pytest.importorskip("pynetdicom")
pytest.importorskip("highdicom")

# pynetdicom leaves the sockets of associations that were cut to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

ORTHANC = shutil.which("Orthanc") or shutil.which("/usr/sbin/Orthanc")
SHAPE = (14, 12, 5)
GRID = Grid(
    shape=SHAPE,
    affine=np.array([[-1.8, 0.1, 0, 20], [0.1, 1.8, 0.5, -9], [0, -0.2, 5, 3], [0, 0, 0, 1.0]])
    @ np.eye(4),
)


@pytest.fixture(autouse=True)
def _no_socket_left_for_other_tests():
    yield
    gc.collect()


def _orthogonal(grid):
    """The same grid with right angles, oblique to the patient."""
    axes, _ = np.linalg.qr(grid.affine[:3, :3])
    affine = np.eye(4)
    affine[:3, :3] = axes * [1.8, 1.8, 5.0] * np.sign(np.diag(axes.T @ grid.affine[:3, :3]))
    affine[:3, 3] = grid.affine[:3, 3]
    return Grid(shape=grid.shape, affine=affine)


def make_results(folder: Path, *, seed: int = 3, grid: Grid | None = None) -> Path:
    """What `bolus dsc` leaves, at its smallest: two maps, a mask, a tumour, a region table."""
    rng = np.random.default_rng(seed)
    grid = grid or _orthogonal(GRID)
    shape = grid.shape
    names = FlatNames("exam")
    history = Provenance(steps=(Step("test", {}),), inputs=())
    with io.open_output(folder, inputs={}, config_digest="", version="1") as output:
        for key in ("ncbv", "mtt"):
            values = rng.uniform(0, 6, shape).astype(np.float32)
            status = np.full(shape, FitStatus.OK, np.uint8)
            values[0, 0, 0], status[0, 0, 0] = np.nan, FitStatus.OUTSIDE_MASK
            item = ParameterMap(
                values=values, quantity=QUANTITIES[key], grid=grid, status=status,
                provenance=history,
            )  # fmt: skip
            io.write_map(output, names.map(key, method="matched"), item, sources=["x"],
                         algorithm="a", reference="b")  # fmt: skip
        inside = np.zeros(shape, bool)
        inside[2:12, 2:10, :] = True
        brain = Mask(values=inside, grid=grid, name="brain")
        io.write_mask(output, names.mask("brain"), brain, sources=["x"])
        drawn = np.zeros(shape, np.int16)
        drawn[4:6, 4:7, 1], drawn[6:8, 4:7, 1:3] = 1, 2
        tumour = LabelMap(values=drawn, grid=grid, names={1: "necrosis", 2: "hypervascular"})
        io.write_labels(output, names.segmentation("tumour"), tumour, sources=["x"])
        columns = ("region", "quantity", "unit", "voxels", "volume_ml", "mean", "mean_std",
                   "low95", "high95", "median", "p05", "p95")  # fmt: skip
        rows = [("whole tumour", "ncbv", "ratio", 9, 0.3, 2.5, 0.1, 2.3, 2.7, 2.4, 1.0, 4.0)]
        output.write(names.table("regions"), io.table_text(columns, rows))
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The results as DICOM files."""
    place = tmp_path_factory.mktemp("export")
    output = place / "dicom"
    export_dicom(ExportRequest(folder=make_results(place / "results"), output=output))
    return output


@contextlib.contextmanager
def receiving(folder, **changes):
    """A receiver at work, with its port."""
    settings = {"title": "BOLUS", "allowed": ("FRIEND",), "port": 0, "quota_bytes": 10**9}
    receiver = Receiver(Listener(folder=folder, **{**settings, **changes}))
    port = receiver.start()
    try:
        yield receiver, port
    finally:
        receiver.stop()


def peer(port, *, calling="FRIEND", called="BOLUS"):
    return Peer(host="127.0.0.1", port=port, calling=calling, called=called, timeout_s=5)


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_an_export_holds_all_four_kinds_and_no_identity(exported):
    kinds = [pydicom.dcmread(p, stop_before_pixels=True) for p in exported.rglob("*.dcm")]

    assert {d.Modality for d in kinds} == {"MR", "SEG", "SR", "OT"} or {
        d.SOPClassUID.name for d in kinds
    } >= {"Parametric Map Storage", "Segmentation Storage", "Comprehensive SR Storage",
          "Secondary Capture Image Storage"}  # fmt: skip
    assert {str(d.PatientName) for d in kinds} == {"BOLUS^RESEARCH"}
    assert len({d.StudyInstanceUID for d in kinds}) == 1
    assert all(d.get("ImageComments", RESEARCH_USE) == RESEARCH_USE for d in kinds)


def test_an_export_is_the_same_bytes_every_time_and_is_done_once(exported, tmp_path):
    results = make_results(tmp_path / "results")
    first = export_dicom(ExportRequest(folder=results, output=tmp_path / "again"))
    second = export_dicom(ExportRequest(folder=results, output=tmp_path / "again"))

    assert first.counts == {"maps": 2, "segmentations": 2, "reports": 1, "pictures": 10}
    assert second.counts is None
    assert {n: (exported / n).read_bytes() for n in files_in(exported)} == {
        n: (tmp_path / "again" / n).read_bytes() for n in files_in(tmp_path / "again")
    }


def _source_series(folder, grid, *, patient="DOE^JANE", shift_mm=0.0):
    """A classic series of one volume on a grid, as a scanner would leave it."""
    from bolus.io.dicom_out_frames import Frames
    from bolus.io.dicom_out_study import Study

    folder.mkdir(parents=True)
    frames = Frames.of(grid)
    study = Study(study_uid="1.2.3.4", frame_uid="1.2.3.5",
                  patient={"PatientName": patient, "PatientID": "77"},
                  date="20200102", time="030405")  # fmt: skip
    rows, columns = frames.arrange(np.zeros(grid.shape)).shape[1:]
    for number, image in enumerate(frames.sources(rows, columns, study)):
        image.ImagePositionPatient[2] += shift_mm
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        pydicom.dcmwrite(folder / f"{number}", image, enforce_file_format=True)
    return folder


def test_with_a_reference_the_objects_join_its_study(tmp_path):
    results = make_results(tmp_path / "results")
    reference = _source_series(tmp_path / "source", _orthogonal(GRID))

    outcome = export_dicom(
        ExportRequest(folder=results, output=tmp_path / "out", reference=reference, captured=())
    )

    objects = [pydicom.dcmread(p) for p in (tmp_path / "out").rglob("*.dcm")]
    assert outcome.patient_data
    assert {str(d.PatientName) for d in objects} == {"DOE^JANE"}
    assert {d.StudyInstanceUID for d in objects} == {"1.2.3.4"}
    assert {d.FrameOfReferenceUID for d in objects if "FrameOfReferenceUID" in d} == {"1.2.3.5"}
    maps = next(d for d in objects if d.SOPClassUID.name == "Parametric Map Storage")
    assert len(maps.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == SHAPE[2]
    assert "DOE" not in (tmp_path / "out" / "receipt.json").read_text()


def _enhanced_series(folder, *, shift_mm=0.0):
    """One enhanced multi-frame file on the grid of the results, of two times."""
    looks = scanner.look_of("siemens", more={"PatientName": "DOE^JANE"})
    (made,) = scanner.enhanced(looks)
    made.ImageComments = ""
    for frame in made.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence[0].ImagePositionPatient[2] += shift_mm
    return scanner.write(folder, [made]), made


def test_an_enhanced_series_serves_as_reference(tmp_path):
    from bolus.io.dicom_series import read_dicom_series

    reference, source = _enhanced_series(tmp_path / "source")
    grid = read_dicom_series(reference).grid
    results = make_results(tmp_path / "results", grid=grid)

    export_dicom(
        ExportRequest(folder=results, output=tmp_path / "out", reference=reference, captured=())
    )

    objects = [pydicom.dcmread(p) for p in (tmp_path / "out").rglob("*.dcm")]
    assert {d.StudyInstanceUID for d in objects} == {source.StudyInstanceUID}
    assert {str(d.PatientID) for d in objects} == {str(source.PatientID)}
    assert {d.FrameOfReferenceUID for d in objects if "FrameOfReferenceUID" in d} == {
        source.FrameOfReferenceUID
    }
    for made in (d for d in objects if d.SOPClassUID.name == "Parametric Map Storage"):
        (referenced,) = made.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        assert referenced.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert referenced.ReferencedSOPClassUID == scanner.ENHANCED
        there = {tuple(np.round(p, 2)) for p in _geometry(source)}
        assert {tuple(np.round(p, 2)) for p in _geometry(made)} == there


def test_an_enhanced_series_that_lies_elsewhere_is_refused(tmp_path):
    from bolus.io.dicom_series import read_dicom_series

    place, _ = _enhanced_series(tmp_path / "source")
    grid = read_dicom_series(place).grid
    other, _ = _enhanced_series(tmp_path / "other", shift_mm=2.0)

    with pytest.raises(BolusError) as caught:
        export_dicom(
            ExportRequest(
                folder=make_results(tmp_path / "results", grid=grid), output=tmp_path / "out",
                reference=other, captured=(),
            )
        )  # fmt: skip

    assert caught.value.code is Code.DICOM_REFERENCE


def test_a_reference_that_lies_elsewhere_is_refused(tmp_path):
    results = make_results(tmp_path / "results")
    reference = _source_series(tmp_path / "source", _orthogonal(GRID), shift_mm=2.0)

    with pytest.raises(BolusError) as caught:
        export_dicom(
            ExportRequest(folder=results, output=tmp_path / "out", reference=reference, captured=())
        )

    assert caught.value.code is Code.DICOM_REFERENCE
    assert "DOE" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_maps_is_refused(tmp_path):
    with pytest.raises(BolusError) as caught:
        export_dicom(ExportRequest(folder=tmp_path, output=tmp_path / "out"))

    assert caught.value.code is Code.DATASET_INVALID


def test_what_is_received_is_what_was_sent(exported, tmp_path):
    with receiving(tmp_path / "in") as (receiver, port):
        sent = send(exported, peer(port))
        again = send(exported, peer(port))

    assert not [item for item in (*sent, *again) if item.refused]
    assert (receiver.tally.stored, receiver.tally.repeated) == (len(sent), len(sent))
    came = {pydicom.dcmread(p).SOPInstanceUID: pydicom.dcmread(p)
            for p in (tmp_path / "in").rglob("*.dcm")}  # fmt: skip
    for item in sent:
        was = pydicom.dcmread(item.path)
        assert came[was.SOPInstanceUID] == was


@pytest.mark.parametrize(
    "names", [{"calling": "STRANGER"}, {"called": "OTHER"}, {"calling": "friend"}]
)
def test_strangers_are_refused(names, exported, tmp_path):
    with receiving(tmp_path / "in") as (_receiver, port), pytest.raises(BolusError) as caught:
        send(exported, peer(port, **names))

    assert caught.value.code is Code.PEER_REFUSED
    assert files_in(tmp_path / "in") == []


def test_a_full_quota_refuses_and_keeps_what_is_there(exported, tmp_path):
    one = next(exported.rglob("map_ncbv.dcm")).stat().st_size
    with receiving(tmp_path / "in", quota_bytes=3 * one) as (receiver, port):
        sent = send(exported, peer(port))

    used = sum(p.stat().st_size for p in (tmp_path / "in").rglob("*.dcm"))
    assert 0 < used <= 3 * one
    assert receiver.tally.used_bytes == used
    refused = [item for item in sent if item.refused]
    assert refused
    assert len(refused) + receiver.tally.stored == len(sent)


HOSTILE = ["../../../etc/passwd", "/etc/passwd", "1.2.3/../../x", "1.2.\0003", "1." * 40, "CON"]


@pytest.mark.parametrize("identifier", HOSTILE)
def test_hostile_identifiers_leave_nothing_anywhere(identifier, exported, tmp_path):
    import warnings

    dataset = pydicom.dcmread(next(exported.rglob("map_ncbv.dcm")))
    home = tmp_path / "deep" / "deeper"
    with receiving(home / "in") as (receiver, port), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = pynetdicom.AE(ae_title="FRIEND")
        node.dimse_timeout = 0.5
        node.add_requested_context(dataset.SOPClassUID, "1.2.840.10008.1.2.1")
        association = node.associate("127.0.0.1", port, ae_title="BOLUS")
        request = pynetdicom.dimse_primitives.C_STORE()
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            request.MessageID = 1
            request.AffectedSOPClassUID = dataset.SOPClassUID
            request._affected_sop_instance_uid = pydicom.uid.UID(identifier)
            request.Priority = 2
            encoded = pynetdicom.dsutils.encode(dataset, False, True)
            from io import BytesIO

            request.DataSet = BytesIO(encoded)
            context = association.accepted_contexts[0].context_id
            association._reactor_checkpoint.clear()  # else it may take the answer first
            association.dimse.send_msg(request, context)
            association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        association.abort()

    assert receiver.tally.stored == 0
    assert files_in(tmp_path) == []
    assert receiver.tally.refused == 1 or len(identifier) > 64  # pynetdicom stops that one


def test_an_object_that_is_not_what_was_announced_is_refused(exported, tmp_path):
    dataset = pydicom.dcmread(next(exported.rglob("map_ncbv.dcm")))
    node = pynetdicom.AE(ae_title="FRIEND")
    node.dimse_timeout = 10
    node.add_requested_context(dataset.SOPClassUID, "1.2.840.10008.1.2.1")
    with receiving(tmp_path / "in") as (receiver, port):
        association = node.associate("127.0.0.1", port, ae_title="BOLUS")
        real, dataset.SOPInstanceUID = dataset.SOPInstanceUID, "1.2.3"
        from io import BytesIO

        request = pynetdicom.dimse_primitives.C_STORE()
        request.MessageID, request.Priority = 1, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, real
        request.DataSet = BytesIO(pynetdicom.dsutils.encode(dataset, False, True))
        association._reactor_checkpoint.clear()
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
        _, answer = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        association.release()

    assert answer.Status == 0xA900
    assert files_in(tmp_path / "in") == []
    assert receiver.tally.reason == "it is not what was announced"


def test_a_kind_that_is_not_wanted_is_refused(tmp_path):
    node = pynetdicom.AE(ae_title="FRIEND")
    node.dimse_timeout = 10
    node.add_requested_context("1.2.840.10008.5.1.4.1.1.104.1")  # a PDF
    with receiving(tmp_path / "in") as (_receiver, port):
        association = node.associate("127.0.0.1", port, ae_title="BOLUS")

        assert not association.is_established


def test_an_association_cut_in_the_middle_leaves_nothing(exported, tmp_path):
    """The line breaks after half of an object; the next one is served as if nothing was."""
    dataset = pydicom.dcmread(next(exported.rglob("001.dcm")))
    node = pynetdicom.AE(ae_title="FRIEND")
    node.dimse_timeout = 10
    node.add_requested_context(dataset.SOPClassUID, "1.2.840.10008.1.2.1")
    with receiving(tmp_path / "in") as (receiver, port):
        association = node.associate("127.0.0.1", port, ae_title="BOLUS")
        encoded = pynetdicom.dsutils.encode(dataset, False, True)
        line = association.dul.socket.socket
        head = bytes([1, 0])  # context 1, a fragment of data that is not the last
        part = encoded[: min(len(encoded) // 2, 16000)]
        pdv = (len(part) + 2).to_bytes(4, "big") + head + part
        line.sendall(b"\x04\x00" + len(pdv).to_bytes(4, "big") + pdv[: len(pdv) // 2])
        line.shutdown(socket.SHUT_RDWR)
        time.sleep(0.3)
        association.kill()
        line.close()
        half = files_in(tmp_path / "in")
        sent = send(exported, peer(port))

    assert half == []
    assert not [item for item in sent if item.refused]
    assert receiver.tally.stored == len(sent)


def test_an_object_beyond_all_measure_is_cut_off_while_it_comes(exported, tmp_path):
    impatient = Peer(host="127.0.0.1", port=0, calling="FRIEND", called="BOLUS", timeout_s=0.5)
    with receiving(tmp_path / "in", largest_bytes=100_000) as (receiver, port):
        sent = send(next(exported.rglob("001.dcm")), replace(impatient, port=port))

    assert sent[0].refused
    assert receiver.tally.reason == "one object is too large"
    assert files_in(tmp_path / "in") == []


def test_nobody_there_is_said(exported):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(BolusError) as caught:
        send(exported, peer(port))

    assert caught.value.code is Code.PEER_UNREACHABLE


def test_a_port_in_use_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BolusError) as caught, receiving(tmp_path, port=taken.getsockname()[1]):
            pass

    assert caught.value.code is Code.PORT_UNAVAILABLE


def test_a_stop_ends_it_and_tells_what_came(tmp_path):
    stop, told = threading.Event(), []
    listener = Listener(folder=tmp_path, title="B", allowed=("A",), port=0, quota_bytes=1)
    thread = threading.Thread(
        target=receive, args=(listener,),
        kwargs={"ready": lambda port: stop.set(), "done": told.append, "stop": stop},
    )  # fmt: skip
    thread.start()
    thread.join(timeout=10)

    assert not thread.is_alive()
    assert told[0].stored == 0


@pytest.fixture
def ctrl_c_is_heard():
    """A child hears Ctrl-C even where the tests themselves run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_stops_the_command_cleanly(number, status, tmp_path):
    words = [sys.executable, "-m", "bolus", "--json", "receive", "in", "--port", "0"]
    with subprocess.Popen(
        [*words, "--allow-aet", "FRIEND"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            opened = json.loads(process.stdout.readline())
            echo(peer(opened["port"]))
            process.send_signal(number)
            out, err = process.communicate(timeout=20)
        finally:
            process.kill()

    assert opened["address"] == "127.0.0.1"
    assert json.loads(out)["stored"] == 0
    assert process.returncode == status
    assert "Traceback" not in err


def _free_ports(count):
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in taken:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in taken]


@pytest.fixture
def orthanc(tmp_path):
    """A PACS of its own on loopback, and the port that it will move files to."""
    if ORTHANC is None:
        pytest.skip("orthanc (Debian) is not installed")
    dicom, http, back = _free_ports(3)
    settings = {
        "Name": "test", "StorageDirectory": str(tmp_path / "db"),
        "IndexDirectory": str(tmp_path / "db"), "DicomPort": dicom, "HttpPort": http,
        "DicomAet": "ORTHANC", "RemoteAccessAllowed": False, "Plugins": [],
        "DicomAlwaysAllowEcho": True, "DicomAlwaysAllowStore": True, "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True, "DicomAlwaysAllowMove": True,
        "DicomModalities": {
            "us": {"AET": "BOLUS", "Host": "127.0.0.1", "Port": back},
            "asking": {"AET": "FRIEND", "Host": "127.0.0.1", "Port": back},
        },
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    with (tmp_path / "orthanc.log").open("w") as log:
        process = subprocess.Popen(
            [ORTHANC, str(tmp_path / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(process, dicom, tmp_path / "orthanc.log")
        yield dicom, back
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(process, port, log):
    for _ in range(150):
        with contextlib.suppress(BolusError):
            echo(Peer(host="127.0.0.1", port=port, calling="FRIEND", called="ORTHANC",
                      timeout_s=2))  # fmt: skip
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(log.read_text()[-1000:])


def _asking_node():
    models = pynetdicom.sop_class
    node = pynetdicom.AE(ae_title="FRIEND")
    node.dimse_timeout = 10
    node.add_requested_context(models.StudyRootQueryRetrieveInformationModelFind)
    node.add_requested_context(models.StudyRootQueryRetrieveInformationModelMove)
    return node


def _find_and_move(node, port, study=""):
    association = node.associate("127.0.0.1", port, ae_title="ORTHANC")
    assert association.is_established
    query = pydicom.Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.PatientName, query.StudyInstanceUID = "BOLUS^RESEARCH", study
    models = pynetdicom.sop_class
    found = [
        item for status, item in association.send_c_find(
            query, models.StudyRootQueryRetrieveInformationModelFind
        ) if status.Status == 0xFF00
    ]  # fmt: skip
    wanted = pydicom.Dataset()
    wanted.QueryRetrieveLevel, wanted.StudyInstanceUID = "STUDY", found[0].StudyInstanceUID
    answers = association.send_c_move(
        wanted, "BOLUS", models.StudyRootQueryRetrieveInformationModelMove
    )
    final = [status for status, _ in answers][-1]
    association.release()
    return found, final


def _geometry(dataset):
    frames = dataset.get("PerFrameFunctionalGroupsSequence", ())
    return [list(map(float, f.PlanePositionSequence[0].ImagePositionPatient)) for f in frames]


@pytest.mark.pacs
def test_a_round_trip_through_a_real_pacs(orthanc, exported, tmp_path):
    """Echo, store, find, and move to our receiver: bit for bit what was written."""
    port, back = orthanc

    sent = send(exported, peer(port, called="ORTHANC"))
    with receiving(tmp_path / "in", port=back, allowed=("ORTHANC",)) as (receiver, _):
        found, final = _find_and_move(_asking_node(), port)

    assert [item.refused for item in sent] == [""] * 15
    assert len(found) == 1
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0x0000, 15)
    assert receiver.tally.stored == 15
    came = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, (tmp_path / "in").rglob("*.dcm"))}
    for item in sent:
        was = pydicom.dcmread(item.path)
        now = came[was.SOPInstanceUID]
        for keyword in ("PixelData", "FloatPixelData", "ContentSequence"):
            assert now.get(keyword) == was.get(keyword)
        assert _geometry(now) == _geometry(was)
        assert now == was


@pytest.mark.pacs
@pytest.mark.slow
def test_a_whole_dce_result_goes_through_a_real_pacs(orthanc, tmp_path):
    """Every file of `bolus dce`, exported, comes back as it was; Ktrans lies where it lay."""
    import highdicom as hd

    exam = tiny_dce.write_exam(tmp_path / "in")
    config = Config(dce={"motion_correction": False, "relaxivity_per_mmolar_s": tiny_dce.R1})
    run_dce_exam(
        DcePaths(series=exam.series, vfa=exam.vfa, mask=exam.brain, tumour=exam.tumour),
        config, tmp_path / "results", names=FlatNames("exam"), label="",
    )  # fmt: skip
    exported = tmp_path / "dicom"
    outcome = export_dicom(ExportRequest(folder=tmp_path / "results", output=exported))
    study = pydicom.dcmread(next(exported.rglob("*.dcm"))).StudyInstanceUID
    port, back = orthanc

    sent = send(exported, peer(port, called="ORTHANC"))
    with receiving(tmp_path / "back", port=back, allowed=("ORTHANC",)) as (receiver, _):
        found, final = _find_and_move(_asking_node(), port, study)

    assert {"maps", "segmentations", "reports", "pictures"} <= set(outcome.counts)
    assert sum(outcome.counts.values()) == len(sent) == receiver.tally.stored
    assert [item.refused for item in sent] == [""] * len(sent)
    assert len(found) == 1
    assert final.Status == 0x0000
    came = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, (tmp_path / "back").rglob("*.dcm"))}
    for item in sent:
        was = pydicom.dcmread(item.path)
        assert came[was.SOPInstanceUID] == was
    ktrans = pydicom.dcmread(next(exported.rglob("map_ktrans.dcm")))
    volume = hd.pm.ParametricMap.from_dataset(came[ktrans.SOPInstanceUID]).get_volume()
    values, grid = io.read_image(next((tmp_path / "results").rglob("*_ktrans.nii.gz")))
    to_ras = np.diag([-1.0, -1, 1, 1])
    places = np.argwhere(np.isfinite(values))[::37]
    world = (grid.affine @ np.c_[places, np.ones(len(places))].T).T
    there = np.rint((np.linalg.inv(to_ras @ volume.affine) @ world.T).T[:, :3]).astype(int)
    assert len(places) > 20
    assert np.array_equal(volume.array[tuple(there.T)], values[tuple(places.T)].astype(np.float32))


@pytest.mark.pacs
def test_the_command_sends_and_says_what_was_refused(orthanc, exported, tmp_path):
    port, _ = orthanc
    words = [sys.executable, "-m", "bolus", "--json", "send", str(exported), "--host", "127.0.0.1"]
    done = subprocess.run(
        [*words, "--port", str(port), "--called-aet", "ORTHANC"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"stored": 15, "refused": {}}


def test_the_command_exits_with_3_when_some_are_refused(exported, tmp_path):
    one = next(exported.rglob("map_ncbv.dcm")).stat().st_size
    words = [sys.executable, "-m", "bolus", "--json", "send", str(exported), "--host", "127.0.0.1"]
    with receiving(tmp_path / "in", quota_bytes=3 * one) as (_receiver, port):
        done = subprocess.run(
            [*words, "--port", str(port), "--called-aet", "BOLUS", "--aet", "FRIEND"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
        )  # fmt: skip

    assert done.returncode == 3
    said = json.loads(done.stdout)
    assert said["stored"] + len(said["refused"]) == 15
    assert said["refused"]
