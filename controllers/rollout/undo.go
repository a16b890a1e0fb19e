package rollout

import (
	"time"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// returning is how many bindings are queued at once. More of them would only wait.
const returning = 256

// undo has all consumers return to the previous schemas, without waves and validation: spec and status say where each belongs.
func (s *step) undo() time.Duration {
	s.Gate.close(s.key)
	status := &s.rollout.Status
	status.WaveCompletionTime = nil
	if s.target.noReturn.reason == annexv1alpha1.RolloutSchemaNotFoundReason {
		s.stop(s.target.noReturn)
		return 0
	}
	waits(s.rollout, annexv1alpha1.RolloutUndoneReason, conditionsv1alpha1.ConditionSeverityInfo, "spec.undo names the current revision: consumers keep the previous schemas until the APIExport names others")
	return s.send(func(m *member) bool { return m.returned }, annexv1alpha1.RolloutPhaseUndoing, annexv1alpha1.RolloutPhaseUndone)
}

// settle has all consumers get what the export names, because that is what they had before.
func (s *step) settle() time.Duration {
	s.Gate.close(s.key)
	status := &s.rollout.Status
	status.Wave, status.WaveCompletionTime = int32(len(s.rollout.Spec.Waves))+1, nil //nolint:gosec // validation allows few
	conditionsv1alpha1.MarkTrue(s.rollout, annexv1alpha1.RolloutProgressing)
	return s.send(func(m *member) bool { return m.updated }, annexv1alpha1.RolloutPhaseProgressing, annexv1alpha1.RolloutPhaseComplete)
}

// send has members reconciled that are not where they belong, makes the phase say whether there are any, and returns when to look again; 0 for when
// something changes. Those whose bindings say why they could not follow are failures, and are tried again less often.
func (s *step) send(there func(*member) bool, during, after annexv1alpha1.RolloutPhase) time.Duration {
	status := &s.rollout.Status
	var behind, failed []*member
	for _, m := range s.members {
		m.unfit, m.suspect = false, false // nothing is validated
		switch {
		case there(m):
		case m.reason != "":
			failed = append(failed, m)
		default:
			behind = append(behind, m)
		}
	}
	for _, m := range behind[:min(len(behind), returning)] {
		s.Gate.look(m.binding)
	}
	var again time.Duration
	if len(failed) > 0 {
		again = recheck
		if again -= s.now().Sub(s.memo.rechecked); again <= 0 {
			s.memo.rechecked, again = s.now(), recheck
			for _, m := range failed[:min(len(failed), returning)] {
				s.Gate.look(m.binding)
			}
		}
	}
	if status.Phase = after; len(behind) > 0 {
		status.Phase, again = during, interval
	}
	s.noteFailures(func(m *member) bool { return !there(m) })
	return again
}
