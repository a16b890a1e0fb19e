package rollout

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	rules "github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/consumers"
)

const (
	// inFlight is for how many bindings of a rollout the gate is open at once. When a rollout stops, at most so many are on their way.
	inFlight = 16
	// attempts is for how many bindings it is open together with those that could not follow.
	attempts = 128
	// slice is how long one step validates objects.
	slice = 2 * time.Second
	// soon is when a step that takes longer continues.
	soon = time.Millisecond
	// recheck is the time between two validations of consumers whose objects were not valid.
	recheck = time.Minute
	// maxFailures bounds the failures in a status.
	maxFailures = 110
)

// step is one look at a rollout.
type step struct {
	*reconciler
	key      client.Key
	rollout  *annexv1alpha1.APIExportRollout
	members  []*member
	target   *target
	identity string
	memo     *memo
	// begun is when the step began.
	begun time.Time
}

func (r *reconciler) stepOf(ctx context.Context, key client.Key, rollout *annexv1alpha1.APIExportRollout, all []consumers.Alike, identity string) (*step, error) {
	begun := r.now()
	members, err := r.membersOf(ctx, rollout, all)
	if err != nil {
		return nil, err
	}
	m := r.memo(key)
	m.looked, m.took = r.now(), r.now().Sub(begun)
	t, err := r.targetOf(ctx, rollout)
	if err != nil {
		return nil, err
	}
	last := int32(len(rollout.Spec.Waves)) + 1 //nolint:gosec // validation allows few
	if rollout.Status.Wave > last || rollout.Status.Phase == annexv1alpha1.RolloutPhaseComplete {
		rollout.Status.Wave = last // the spec may have changed
	}
	return &step{reconciler: r, key: key, rollout: rollout, members: members, target: t, identity: identity, memo: m, begun: r.now()}, nil
}

// do does what is to be done now, makes the status say so, and returns when to look again; 0 for when something changes.
func (s *step) do(ctx context.Context) (time.Duration, error) {
	if s.target.noReturn.reason == "" {
		conditionsv1alpha1.MarkTrue(s.rollout, annexv1alpha1.RolloutReversible)
	} else {
		conditionsv1alpha1.MarkFalse(s.rollout, annexv1alpha1.RolloutReversible, s.target.noReturn.reason, conditionsv1alpha1.ConditionSeverityWarning, "%s", s.target.noReturn.message)
	}
	var again time.Duration
	var err error
	switch {
	case rules.Undone(s.rollout):
		again = s.undo()
	case settles(s.rollout):
		again = s.settle()
	default:
		again, err = s.advance(ctx)
	}
	if err != nil {
		return 0, err
	}
	count(s.rollout, s.members)
	return again, nil
}

// complete reports whether the revision was complete before this step.
func (s *step) complete() bool { return s.rollout.Status.Phase == annexv1alpha1.RolloutPhaseComplete }

// turn reports whether m is to have the new schemas now.
func (s *step) turn(m *member) bool { return m.wave <= s.rollout.Status.Wave && !m.skipped }

// advance brings the rollout forward.
func (s *step) advance(ctx context.Context) (time.Duration, error) {
	if phase := s.rollout.Status.Phase; phase == annexv1alpha1.RolloutPhaseUndoing || phase == annexv1alpha1.RolloutPhaseUndone {
		// The undo was taken back: begin anew.
		s.rollout.Status.Wave = 1
		s.progress()
		return 0, nil
	}
	again, err := s.recheck(ctx)
	if err != nil {
		return 0, err
	}
	switch {
	case s.target.fault.reason != "" && !s.complete():
		s.shut()
		s.stop(s.target.fault)
		return again, nil
	case s.exceeds():
		s.shut()
		s.stop(problem{annexv1alpha1.RolloutFailedReason, "workspaces have failed: status.failures says which and why"})
		return again, nil
	case s.rollout.Spec.Paused:
		s.shut()
		if !s.complete() {
			s.pause(annexv1alpha1.RolloutPausedReason, "spec.paused is true")
		}
		s.noteFailures(s.turn)
		return again, nil
	}
	more, err := s.letThrough(ctx)
	if err != nil {
		return 0, err
	}
	s.noteFailures(s.turn)
	if s.exceeds() {
		s.shut()
		s.stop(problem{annexv1alpha1.RolloutFailedReason, "workspaces have failed: status.failures says which and why"})
		return sooner(recheck, more), nil
	}
	if s.anyUnfit() {
		again = sooner(again, recheck)
	}
	if s.complete() {
		return sooner(again, more), nil
	}
	if slices.ContainsFunc(s.members, func(m *member) bool { return s.turn(m) && !m.updated && !m.failed() }) {
		s.progress()
		s.rollout.Status.WaveCompletionTime = nil
		return sooner(sooner(again, more), interval), nil
	}
	return sooner(again, s.next()), nil
}

// next begins the next wave after one that is complete, or waits for it.
func (s *step) next() time.Duration {
	status := &s.rollout.Status
	if status.WaveCompletionTime == nil {
		now := metav1.NewTime(s.now()).Rfc3339Copy()
		status.WaveCompletionTime = &now
	}
	if int(status.Wave) > len(s.rollout.Spec.Waves) {
		status.Phase = annexv1alpha1.RolloutPhaseComplete
		conditionsv1alpha1.MarkTrue(s.rollout, annexv1alpha1.RolloutProgressing)
		return 0
	}
	pause, resume := s.rollout.Spec.Waves[status.Wave-1].Pause, s.rollout.Spec.Resume
	if pause != nil && (resume == nil || resume.Revision != status.Revision || resume.Wave < status.Wave) {
		if pause.Duration == nil {
			s.pause(annexv1alpha1.RolloutWaitingReason, fmt.Sprintf("wave %d is complete: to continue, set spec.resume to revision %d and wave %d", status.Wave, status.Revision, status.Wave))
			return 0
		}
		if left := pause.Duration.Duration - s.now().Sub(status.WaveCompletionTime.Time); left > 0 {
			s.pause(annexv1alpha1.RolloutWaitingReason, fmt.Sprintf("wave %d is complete: the next one begins after %s", status.Wave, pause.Duration.Duration))
			return left
		}
	}
	status.Wave++
	status.WaveCompletionTime = nil
	s.progress()
	return 0 // the write of the status is an event
}

// letThrough validates the objects of consumers whose turn has come, in order, and opens the gate for those that fit. It returns when to go on; 0
// for when something changes.
func (s *step) letThrough(ctx context.Context) (time.Duration, error) {
	waiting := map[client.Key]*member{}
	for _, m := range s.members {
		if s.turn(m) && !m.updated && !m.unfit {
			waiting[m.binding] = m
		}
	}
	revision := s.rollout.Status.Revision
	open := s.keep(func(m *member) bool { return waiting[m.binding] != nil })
	flying, suspects := 0, false
	for _, m := range waiting {
		suspects = suspects || m.suspect
		if m.reason == "" && s.Gate.Passes(s.key, revision, m.binding) {
			flying++
		}
	}
	for _, m := range s.members {
		switch {
		case waiting[m.binding] == nil, s.Gate.Passes(s.key, revision, m.binding):
			continue
		case suspects && !m.suspect:
			continue // what failed before is tried alone
		case flying >= inFlight:
			return 0, nil
		case open >= attempts, len(s.rollout.Status.Failures) >= maxFailures:
			return recheck, nil
		case s.now().Sub(s.begun) >= slice:
			return soon, nil
		}
		done, err := s.check(ctx, m)
		if err != nil {
			return 0, err
		}
		switch {
		case !done:
			return soon, nil
		case !m.unfit:
			s.Gate.let(s.key, revision, m.binding)
			flying++
			open++
		case s.exceeds():
			return 0, nil
		}
	}
	return 0, nil
}

// recheck validates consumers again that have failed, after a while or a change of the spec. It returns when to look again; 0 if none have failed.
func (s *step) recheck(ctx context.Context) (time.Duration, error) {
	failed := map[client.Key]*member{}
	var order []client.Key
	for _, m := range s.members {
		if m.unfit && s.turn(m) {
			failed[m.binding] = m
			order = append(order, m.binding)
		}
	}
	if len(failed) == 0 {
		s.memo.again = nil
		return 0, nil
	}
	left := recheck - s.now().Sub(s.memo.rechecked)
	if len(s.memo.again) == 0 && (left <= 0 || s.memo.generation != s.rollout.Generation) {
		s.memo.again, s.memo.rechecked, s.memo.generation, left = order, s.now(), s.rollout.Generation, recheck
	}
	for len(s.memo.again) > 0 {
		if m := failed[s.memo.again[0]]; m != nil {
			if s.now().Sub(s.begun) >= slice {
				return soon, nil
			}
			done, err := s.check(ctx, m)
			if err != nil {
				return 0, err
			}
			if !done {
				return soon, nil
			}
		}
		s.memo.again = s.memo.again[1:]
	}
	return max(left, soon), nil
}

// check validates the objects of m for a while, and reports whether it has seen all of them, or enough to know that m does not fit.
func (s *step) check(ctx context.Context, m *member) (done bool, err error) {
	p := s.memo.check
	if p == nil || p.binding != m.binding || p.revision != s.rollout.Status.Revision {
		p = &progress{binding: m.binding, revision: s.rollout.Status.Revision, identity: s.identity}
	}
	s.memo.check = p
	done, err = s.Checker.Check(ctx, m.binding.Cluster, s.target.schemas, p, slice)
	if err != nil || !done {
		return false, err
	}
	s.memo.check = nil
	if m.unfit = len(p.faults) > 0; m.unfit {
		s.fail(m, annexv1alpha1.RolloutObjectsInvalidReason, messageOf(p.faults))
	} else {
		s.forgive(m)
	}
	return true, nil
}

// shut closes the gate for bindings that have not failed: those on their way stay what they are.
func (s *step) shut() {
	s.keep(func(m *member) bool { return s.turn(m) && !m.updated && m.reason != "" })
	s.noteFailures(s.turn)
}

// keep closes the gate for all bindings but those that stays says, and returns how many it stays open for.
func (s *step) keep(stays func(*member) bool) int {
	kept, settled := map[client.Key]bool{}, map[client.Key]bool{}
	for _, m := range s.members {
		kept[m.binding], settled[m.binding] = stays(m), m.updated && m.reason == ""
	}
	return s.Gate.keep(s.key, s.rollout.Status.Revision, func(binding client.Key) bool { return kept[binding] }, func(binding client.Key) bool { return !settled[binding] })
}

// exceeds reports whether more members have failed than may. What was complete once stays so.
func (s *step) exceeds() bool {
	failed := 0
	for _, m := range s.members {
		if counts(s.rollout, m) {
			failed++
		}
	}
	return failed > int(s.rollout.Spec.MaxFailures) && !s.complete()
}

func (s *step) anyUnfit() bool {
	return slices.ContainsFunc(s.members, func(m *member) bool { return m.unfit && s.turn(m) })
}

// noteFailures makes the failures of the status those of the members that count. Those whose objects are not valid stay: they are not validated
// again in each step.
func (s *step) noteFailures(counts func(*member) bool) {
	failed := map[client.Key]*member{}
	for _, m := range s.members {
		if (m.failed() || m.suspect) && counts(m) {
			failed[m.binding] = m
		}
	}
	status := &s.rollout.Status
	status.Failures = slices.DeleteFunc(status.Failures, func(f annexv1alpha1.RolloutFailure) bool {
		m := failed[bindingOf(f)]
		return m == nil || !m.suspect && f.Reason != reasonOf(m)
	})
	for _, m := range s.members {
		if failed[m.binding] != nil && m.reason != "" && !m.unfit {
			s.fail(m, m.reason, "")
		}
	}
}

func reasonOf(m *member) string {
	if m.unfit {
		return annexv1alpha1.RolloutObjectsInvalidReason
	}
	return m.reason
}

// fail adds a failure, or changes it.
func (s *step) fail(m *member, reason, message string) {
	failures := s.rollout.Status.Failures
	at := slices.IndexFunc(failures, func(f annexv1alpha1.RolloutFailure) bool { return bindingOf(f) == m.binding })
	switch {
	case at >= 0:
		failures[at].Reason, failures[at].Message = reason, message
	case len(failures) < maxFailures:
		s.rollout.Status.Failures = append(failures, annexv1alpha1.RolloutFailure{
			Cluster: m.binding.Cluster.String(), Binding: m.binding.Name, Reason: reason, Message: message, Time: metav1.NewTime(s.now()).Rfc3339Copy(),
		})
	}
}

// forgive removes the failure of a consumer whose objects are valid.
func (s *step) forgive(m *member) {
	s.rollout.Status.Failures = slices.DeleteFunc(s.rollout.Status.Failures, func(f annexv1alpha1.RolloutFailure) bool {
		return bindingOf(f) == m.binding && f.Reason == annexv1alpha1.RolloutObjectsInvalidReason
	})
}

func (s *step) progress() {
	s.rollout.Status.Phase = annexv1alpha1.RolloutPhaseProgressing
	conditionsv1alpha1.MarkTrue(s.rollout, annexv1alpha1.RolloutProgressing)
}

func (s *step) pause(reason, message string) {
	s.rollout.Status.Phase = annexv1alpha1.RolloutPhasePaused
	waits(s.rollout, reason, conditionsv1alpha1.ConditionSeverityInfo, message)
}

func (s *step) stop(why problem) {
	s.rollout.Status.Phase = annexv1alpha1.RolloutPhaseStopped
	waits(s.rollout, why.reason, conditionsv1alpha1.ConditionSeverityError, why.message)
}
