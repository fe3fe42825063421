"""The rounds of self-training, trained: label, pretrain, fine-tune; what is finished already is taken as it is."""

from __future__ import annotations

from rich.console import Console

from jobs.train import train
from pipeline.evaluation import provenance
from pipeline.inference.pseudo_label import Labelling
from pipeline.methods.model_file import load_description
from pipeline.shards.manifest import Manifest, join
from pipeline.studies.selftrain import (
    RoundOutcome,
    best_round,
    build_selftrain_report,
    check_selftrain,
    finetune_config,
    pretrain_config,
    study_folder,
    teacher_config,
)
from pipeline.studies.selftrain.stages import pseudo_folder
from pipeline.training.config.experiment import ExperimentConfig
from pipeline.training.config.hashing import config_hash
from pipeline.training.identity import WHERE
from pipeline.training.init import weights_sha256
from pipeline.training.plan import Plan
from pipeline.training.run import TrainingResult, ready, register_best
from pipeline.training.tracking import Tracker
from pipeline.training.unlabelled_faces import UnlabelledFaces


class Rounds:
    """The rounds of one study, as far as they are: each stage is a run of its own.

    Args:
        config: With absolute paths.
        teacher: Plan of round 0.
        faces: The unlabelled ones.
        parent: MLflow run of the study.
        console: Where to print.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        teacher: Plan,
        faces: UnlabelledFaces,
        parent: Tracker,
        console: Console,
    ) -> None:
        self.config, self.section = config, check_selftrain(config)
        self.teacher, self.faces = teacher, faces
        self.parent, self.console = parent, console
        self.outcomes: list[RoundOutcome] = []
        self._results: list[tuple[ExperimentConfig, TrainingResult]] = []

    def train_round_0(self) -> None:
        """The config's own training."""
        stage = teacher_config(self.config)
        result = self._train(stage)
        self._end_round(stage, result, RoundOutcome(0, _nme(result), None, None, False, *_cost(result)))

    def train_round(self, number: int) -> None:
        """Label the unlabelled faces by the last round's model, pretrain on that, fine-tune on the labels."""
        config, section = self.config, self.section
        pseudo = self._label(number)
        pretrained = self._train(pretrain_config(config, number, pseudo, self.teacher))
        stage = finetune_config(config, number, pretrained.run_folder, self.teacher)
        result = self._train(stage)
        outcome = RoundOutcome(
            number,
            _nme(result),
            _nme(pretrained),
            pseudo.samples,
            section.shrink is not None and number >= section.shrink.from_round,
            *_cost(pretrained, result),
        )
        self._end_round(stage, result, outcome)

    def hand_on(self) -> None:
        """Say which round's model is the best, and register it where the config asks for that."""
        best = best_round(self.outcomes)
        self.parent.metrics({"held_out/best_nme": best.nme}, step=best.number)
        if self.config.tracking.register_as is not None:
            stage, result = self._results[best.number]
            name = self.config.tracking.register_as
            self.console.print(register_best(ready(stage), result, name), highlight=False)
        self.console.print(_ended(self.outcomes, self.section.rounds), highlight=False)
        self.console.print(f"model: {best.model}", highlight=False, soft_wrap=True)
        self.console.print(f"report: {self._report_url()}", highlight=False, soft_wrap=True)

    def _train(self, stage: ExperimentConfig) -> TrainingResult:
        if ready(stage).finished is None:
            self.parent.resume()
        return train(stage, self.console, verb="selftrain", parent=self.parent.run_id)

    def _label(self, number: int) -> Manifest:
        from jobs.cluster.labelling import label_faces

        model, name = self.outcomes[-1].model, f"{self.config.name}-r{number}-pseudo"
        job = Labelling(
            model,
            weights_sha256(model),
            self.faces.sets,
            self.faces.chosen.all(),
            pseudo_folder(self.config, number),
            flip=self.section.flip,
            max_bad_share=self.config.data.max_bad_share,
        )
        return label_faces(job, name, device="cuda" if self.config.cluster.gpu else "cpu")

    def _end_round(self, stage: ExperimentConfig, result: TrainingResult, outcome: RoundOutcome) -> None:
        self.outcomes.append(outcome)
        self._results.append((stage, result))
        values = {"held_out/nme": outcome.nme}
        if outcome.pretrained_nme is not None:
            values["held_out/pretrained_nme"] = outcome.pretrained_nme
        self.parent.metrics(values, step=outcome.number)
        build_selftrain_report(
            self.outcomes,
            self._report_url(),
            name=self.config.name,
            ended=_ended(self.outcomes, self.section.rounds),
            facts=self._facts(),
        )
        self.parent.file(self._report_url())
        self.console.print(f"round {outcome.number}: held-out NME {outcome.nme:.3f} %", highlight=False)

    def _report_url(self) -> str:
        return join(study_folder(self.config), "report.html")

    def _facts(self) -> dict[str, object]:
        validation = self.teacher.validation
        assert validation is not None  # check_selftrain
        return {
            "labelled faces": self.teacher.labelled,
            "unlabelled faces": len(self.faces.chosen),
            "held-out faces": validation.samples,
            **provenance.collect(
                config_hash(self.config, WHERE - {"selftrain"}),
                self.config.seed,
                data=validation.name,
                data_config_hash=validation.config_hash,
                selection=f"training.select = {self.config.training.select}; the round by the same faces",
                selection_set="validation, held out of the training set",
            ),
        }


def _nme(result: TrainingResult) -> float:
    """Of the model that a run hands on, on the held-out faces, %."""
    return load_description(result.model).validation["nme"]


def _cost(*results: TrainingResult) -> tuple[int, float, str]:
    return sum(r.steps for r in results), sum(r.seconds for r in results), results[-1].model


def _ended(rounds: list[RoundOutcome], most: int) -> str:
    best, last = best_round(rounds), rounds[-1]
    stands = f"round {best.number} is the best: held-out NME {best.nme:.3f} %, round 0 {rounds[0].nme:.3f} %"
    return f"{last.number} of at most {most} rounds; {stands}"
