"""Defects that a verifier or a rollback could have, each a small change of the source, and who sees it.

The table is the answer to "would anybody notice?". A change must match exactly once, so it can't rot unseen.
"""

from __future__ import annotations

from dataclasses import dataclass

TRAFFIC = "tests/unit/verification/test_traffic.py"
RECOVERY = "tests/unit/verification/test_recovery.py"
PROVE = "tests/unit/verification/test_prove_traffic.py"
UNDO = "tests/unit/actions/test_undo.py"
ON_CLUSTER = "tests/unit/actions/test_undo_on_cluster.py"
LOST = "tests/unit/actions/test_undo_lost_answers.py"
TARGET = "tests/unit/actions/test_undo_target.py"
PROOF = "tests/flow/test_proof.py"
LOOP = "tests/flow/test_undo.py"
OTHER_KINDS = "tests/unit/verification/test_other_kinds.py"
HISTORY = "tests/unit/workloads/test_history.py"
GUARDS = "tests/unit/rules/test_guards.py"
STUCK = "tests/flow/test_stuck_pod.py"
LATE = "tests/flow/test_lost_answers.py"
RESTARTS = "tests/flow/test_restarts.py"
ELECT = "tests/unit/pipeline/test_elect.py"
SETTLING = "tests/flow/test_settling.py"
WEBHOOK = "tests/unit/web/test_webhook.py"
CRITICAL = "tests/flow/test_critical_path.py"
MOMENTS = "tests/property/test_moments.py"


@dataclass(frozen=True)
class Defect:
    """What is wrong, where the text is changed, and the tests that have to turn red, each of them.

    `also` are more changes (file, before, after), where one alone is still caught by a second check.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]
    also: tuple[tuple[str, str, str], ...] = ()


def _precondition(name: str, before: str) -> Defect:
    test = f"{UNDO}::test_a_precondition_that_no_longer_holds_refuses_all_of_it[{name}]"
    return Defect(f"drops the precondition: {name}", "actions/undo.py", before, "", (test,))


DEFECTS = (
    Defect(
        "counts pods by label instead of owner UID",
        "workloads/history.py",
        "        if pod.controller_uid != self.workload.uid:\n"
        '            return self.by_uid(pod.controller_uid or "")\n',
        "",
        (
            f"{TRAFFIC}::test_pods_are_counted_by_owner_uid_not_by_label",
            f"{TRAFFIC}::test_a_good_label_does_not_stand_in_for_a_missing_pod",
        ),
    ),
    Defect(
        "ignores a second EndpointSlice",
        "verification/services.py",
        "slices.setdefault(each.address_type, []).append(each)",
        "slices.setdefault(each.address_type, [each])",
        (
            f"{TRAFFIC}::test_a_finished_rollback_passes_every_check",
            f"{TRAFFIC}::test_one_more_endpoint[second slice-extra0-OtherEndpointServing]",
        ),
    ),
    Defect(
        "ignores a serving terminating endpoint",
        "verification/services.py",
        "if not endpoint.ready and not endpoint.serving:",
        "if endpoint.terminating or (not endpoint.ready and not endpoint.serving):",
        (f"{TRAFFIC}::test_one_more_endpoint[same slice-extra1-OtherEndpointServing]",),
    ),
    Defect(
        "takes a ready endpoint that no port leads to",
        "verification/services.py",
        "        closed = expected - reached\n",
        "        closed = set[str]()\n",
        (
            f"{TRAFFIC}::test_ready_endpoints_without_the_services_port_get_nothing[None]",
            f"{TRAFFIC}::test_each_port_has_to_lead_to_every_pod",
        ),
    ),
    Defect(
        "ignores a terminating pod",
        "verification/snapshot.py",
        "if self.history.owns(pod) and not pod.terminal)",
        "if self.history.owns(pod) and not pod.terminal and not pod.terminating)",
        (f"{TRAFFIC}::test_a_terminating_pod_of_another_revision_counts",),
    ),
    Defect(
        "accepts zero endpoints",
        "verification/services.py",
        'return failed(check, "NoReadyEndpoint"',
        'return passed(check, "NoReadyEndpoint"',
        (f"{TRAFFIC}::test_zero_endpoints_fail",),
    ),
    Defect(
        "accepts zero replicas",
        "verification/traffic.py",
        'return unknown("ReplicasWanted", "ZeroReplicas"',
        'return passed("ReplicasWanted", "ZeroReplicas"',
        (f"{TRAFFIC}::test_zero_replicas_are_unknown_never_passed",),
        (
            (
                "verification/services.py",
                'return unknown(check, "ZeroReplicas"',
                'return passed(check, "ZeroReplicas"',
            ),
        ),
    ),
    Defect(
        "takes observedGeneration alone as complete",
        "verification/deployment.py",
        "if any(count != wanted for count in counts.values()):",
        "if not workload.observed:",
        (f"{TRAFFIC}::test_an_observed_generation_alone_is_no_completion",),
    ),
    Defect(
        "treats no data as recovered",
        "verification/recovery.py",
        "    held = holds(condition, values)\n",
        "    held = holds(condition, values) or False\n",
        (
            f"{RECOVERY}::test_a_ratio[None-None-0.001-NoData-NoData-Unknown]",
            f"{RECOVERY}::test_a_ratio[nan-0.0-0.001-NotANumber-NotANumber-Unknown]",
        ),
        (("verification/recovery.py", "return unknown(check, why,", "return passed(check, why,"),),
    ),
    Defect(
        "ends an unmeasured recovery as rolled back",
        "pipeline/claims.py",
        "Result.UNKNOWN: Outcome.RECOVERY_UNKNOWN",
        "Result.UNKNOWN: Outcome.ROLLED_BACK",
        (f"{PROOF}::test_traffic_that_stopped_after_the_undo",),
    ),
    Defect(
        "chooses the previous revision by number",
        "workloads/target.py",
        "[each for each in history.old if each.uid != bad.uid and _eligible(each, history, ledger)]",
        "list(history.old)\n"
        "    return Target(max(candidates, key=_number), certain=True) if candidates else None",
        (
            f"{TARGET}::test_the_target_is_what_served_before[stuck_then_bad-v1]",
            f"{TARGET}::test_the_target_is_what_served_before[undone_then_released_again_then_bad-v1]",
        ),
    ),
    Defect(
        "goes back to what is known to be bad",
        "workloads/target.py",
        "each.terminating or ledger.is_known_bad(each) or",
        "each.terminating or",
        (
            f"{TARGET}::test_the_target_is_what_served_before[undone-None]",
            f"{TARGET}::test_the_target_is_what_served_before[undone_then_released_again_then_bad-v1]",
        ),
    ),
    _precondition("uid", '        {"op": "test", "path": "/metadata/uid", "value": workload.uid},\n'),
    _precondition(
        "template", '        {"op": "test", "path": "/spec/template", "value": workload.template},\n'
    ),
    Defect(
        "drops the precondition: paused",
        "actions/undo.py",
        'return [{"op": "test", "path": "/spec/paused", "value": None}]',
        "return []",
        (f"{UNDO}::test_a_precondition_that_no_longer_holds_refuses_all_of_it[paused]",),
    ),
    _precondition(
        "freeze", "        *(_frozen_as_read(workload) if freeze_overruled else _unfrozen(workload)),\n"
    ),
    _precondition("fence", '        {"op": "test", "path": path, "value": fence.before},\n'),
    _precondition(
        "fence, the first label", '            {"op": "test", "path": "/metadata/labels", "value": None},\n'
    ),
    Defect(
        "undoes a Deployment made anew around its ReplicaSets",
        "actions/rollback.py",
        "    if workload.uid != attempt.workload_uid:\n        # It may have",
        "    if False:\n        # It may have",
        (
            f"{ON_CLUSTER}::test_a_restarted_responder_finds_the_same_change_by_itself"
            "[made anew around its ReplicaSets]",
        ),
    ),
    Defect(
        "loses an annotation that was added between read and patch",
        "actions/undo.py",
        "        *_change_cause(workload, target),\n",
        '        {"op": "replace", "path": "/metadata/annotations", "value": dict(target.annotations)},\n',
        (f"{UNDO}::test_what_others_write_meanwhile_stays[<lambda>0]",),
    ),
    Defect(
        "counts ready: true, serving: false of a bad pod as harmless",
        "verification/services.py",
        "if not endpoint.ready and not endpoint.serving:",
        "if not endpoint.serving:",
        (f"{TRAFFIC}::test_one_more_endpoint[same slice-extra3-OtherEndpointServing]",),
    ),
    Defect(
        "holds the window over a gap in the watch",
        "verification/prove_traffic.py",
        "        self._disturbed = True\n        self._window.restart(why)\n",
        "",
        (f"{PROVE}::test_what_restarts_the_window[gap]",),
    ),
    Defect(
        "takes a lost answer for a failed undo",
        "actions/rollback.py",
        "        return await _recognise_or_retry(kubernetes, attempt, error)\n",
        '        return Rejected("AnswerLost", str(error))\n',
        (f"{LOST}::test_a_lost_answer_is_found_on_the_deployment[effect0]",),
    ),
    Defect(
        "gives an attempt up without voiding its fence",
        "actions/rollback.py",
        "        await kubernetes.json_patch(_path(attempt.key), operations)\n    except Invalid",
        "        pass\n    except Invalid",
        (f"{LOST}::test_a_voided_attempt_can_not_take_effect_any_more",),
    ),
    Defect(
        "takes who served in a gap of the watch for one that never served",
        "pipeline/workload_ledger.py",
        "            self._watched_from = now\n",
        "            pass\n",
        (f"{LOOP}::test_a_release_that_served_while_nobody_watched_is_the_one_to_go_back_to",),
    ),
    Defect(
        "takes a pod by its revision's label, whoever owns it",
        "workloads/history.py",
        "        return owner == self.workload.uid or any(",
        '        return self.workload.kind != "Deployment" or any(',
        tuple(
            f"{OTHER_KINDS}::test_a_good_label_on_a_pod_of_somebody_else_is_not_enough[{kind}]"
            for kind in ("StatefulSet", "DaemonSet")
        ),
        (
            (
                "workloads/history.py",
                "        if pod.controller_uid != self.workload.uid:\n",
                '        if self.workload.kind == "Deployment":\n',
            ),
        ),
    ),
    Defect(
        "takes a pod by its owner, whatever revision it was made from",
        "workloads/history.py",
        "        return next((each for each in self.revisions if named and each.hash == named), None)",
        "        return self.current",
        tuple(
            f"{OTHER_KINDS}::test_the_right_owner_is_not_enough[{kind}]"
            for kind in ("StatefulSet", "DaemonSet")
        ),
    ),
    Defect(
        "takes a StatefulSet's revisions alone as complete",
        "verification/statefulset.py",
        "workload.current_revision != target.name or any(count != wanted for count in counts.values()):",
        "workload.current_revision != target.name:",
        (f"{OTHER_KINDS}::test_an_observed_generation_alone_is_no_completion[StatefulSet]",),
    ),
    Defect(
        "takes a DaemonSet without a missing pod as complete",
        "verification/daemonset.py",
        "all(counts[field] == wanted for field in _COUNTS) and not",
        "not",
        (f"{OTHER_KINDS}::test_an_observed_generation_alone_is_no_completion[DaemonSet]",),
    ),
    Defect(
        "takes a ControllerRevision that was brought back for a new one",
        "workloads/revision.py",
        "        return self.number is None or self.number > self.older + 1\n",
        "        return False\n",
        (f"{HISTORY}::test_one_that_may_have_been_brought_back[numbers1-reused1]",),
    ),
    Defect(
        "drops the precondition: the update strategy",
        "actions/undo.py",
        '    return [{"op": "test", "path": "/spec/updateStrategy/type", "value": "RollingUpdate"}]\n',
        "    return []\n",
        tuple(
            f"{UNDO}::test_of_the_other_kinds_a_precondition_that_no_longer_holds_refuses_all"
            f"[<lambda>-UpdatesOnDelete-{kind}]"
            for kind in ("StatefulSet", "DaemonSet")
        ),
    ),
    Defect(
        "undoes what would not roll",
        "rules/guards/existence.py",
        "    if workload is not None and workload.rolls_on_delete:\n",
        "    if False:\n",
        (f"{GUARDS}::test_nothing_is_undone_that_would_not_roll",),
    ),
    Defect(
        "deletes a stuck pod that nobody decided about",
        "pipeline/stuck.py",
        "        answer = await self._store.get_decision(",
        "        await self._kubernetes.delete(paths.pod(incident.key.namespace, pod.name), uid=pod.uid)\n"
        "        answer = await self._store.get_decision(",
        (f"{STUCK}::test_it_is_deleted_once_a_person_says_so",),
    ),
    Defect(
        "deletes whatever has a stuck pod's name",
        "pipeline/stuck.py",
        "pod.name), uid=pod.uid)",
        "pod.name))",
        (f"{STUCK}::test_it_is_deleted_once_a_person_says_so",),
    ),
    Defect(
        "undoes without a fence",
        "actions/undo.py",
        "        *move_fence(workload, fence),\n",
        "",
        (f"{LATE}::test_an_undo_that_arrives_after_a_second_one_has_no_effect",),
        (("actions/undo.py", "workload.fence == fence and same_template", "same_template"),),
    ),
    Defect(
        "records the result before the effect",
        "pipeline/respond.py",
        "            result = await self._undoer.undo_or_void(incident, rollback, seen)\n",
        "            early = self._clock.now()\n"
        "            incident = await self._store.record_fact(\n"
        "                incident, lambda status: advance.applied(status, 1, early, file.rollback.within)\n"
        "            )\n"
        "            result = await self._undoer.undo_or_void(incident, rollback, seen)\n",
        (f"{RESTARTS}::test_ended_in_every_phase_of_a_rollback",),
    ),
    Defect(
        "resumes without reading again",
        "pipeline/drive.py",
        "        if self.incident.status == Status():\n",
        "        if self.incident:\n",
        (
            f"{MOMENTS}::test_what_a_watch_told_late_is_read_before_anything_is_done",
            f"{MOMENTS}::test_what_is_finished_by_now_is_not_taken_up",
        ),
    ),
    Defect(
        "counts a Lease on the wall clock",
        "pipeline/elect.py",
        "            self._seen = _Seen(spec, _now_seconds())\n",
        "            self._seen = _Seen(spec, self._clock.now().timestamp())\n",
        (f"{ELECT}::test_no_wall_clock_moves_a_term[second--2]",),
        (
            (
                "pipeline/elect.py",
                "return _now_seconds() - self._seen.at_seconds > duration",
                "return self._clock.now().timestamp() - self._seen.at_seconds > duration",
            ),
        ),
    ),
    Defect(
        "believes a renewTime that another one wrote",
        "pipeline/elect.py",
        "        return _now_seconds() - self._seen.at_seconds > duration\n",
        '        renewed_at = datetime.fromisoformat(str(self._seen.spec["renewTime"]))\n'
        "        return (self._clock.now() - renewed_at).total_seconds() > duration\n",
        (f"{ELECT}::test_no_wall_clock_moves_a_term[first--2]",),
    ),
    Defect(
        "writes beyond its term",
        "clients/kubernetes/transport.py",
        "        self._term.check()\n",
        "",
        (f"{ELECT}::test_a_write_beyond_the_term_is_not_sent",),
    ),
    Defect(
        "takes resolved for recovered",
        "rules/decide.py",
        "    if not facts.firing and all(facts.false_now(rule.condition) for rule in facts.rules):\n",
        "    if not facts.firing:\n",
        (f"{SETTLING}::test_silenced_before_the_undo",),
    ),
    Defect(
        "acknowledges before it has written",
        "pipeline/intake.py",
        "            if isinstance(result, ResponderError):\n                raise result\n",
        "            pass\n",
        (f"{MOMENTS}::test_what_can_not_be_written_is_not_acknowledged",),
    ),
    Defect(
        "acknowledges what it could not take in",
        "web/webhook.py",
        "TimeoutError) as error:\n            return self._ask_again(error)\n",
        "TimeoutError) as error:\n            return web.json_response(dict())\n",
        (f"{WEBHOOK}::test_what_can_not_be_written_down_is_asked_for_again[error0-7]",),
    ),
    Defect(
        "takes answers about what was seen last for answers about what is there",
        "pipeline/gather.py",
        " and early.basis == basis_at(early.now)",
        "",
        (f"{CRITICAL}::test_what_was_asked_about_a_workload_that_changed_unseen_is_asked_again",),
    ),
    Defect(
        "gives an intent up, and its fence stands",
        "pipeline/undo.py",
        "                voided = await void(self._kubernetes, attempt)\n",
        "                voided = None\n",
        (f"{LATE}::test_an_undo_that_arrives_after_it_was_given_up_has_no_effect",),
    ),
    Defect(
        "closes without the resourceVersion that was judged",
        "incidents/store.py",
        '        body = {\n            "metadata": {"resourceVersion": incident.metadata.resource_version},\n'
        '            "status": status.model_dump(mode="json", by_alias=True, exclude={"notifications"}),\n'
        "        }\n",
        '        body = {"status": status.model_dump(mode="json", by_alias=True, '
        'exclude={"notifications"})}\n',
        (f"{MOMENTS}::test_an_alert_that_is_written_meanwhile_keeps_its_incident_from_closing",),
    ),
)
