package controller

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
)

// tell records an Event about something that went well.
func (j *job) tell(reason, note string, args ...any) {
	j.recorder.Eventf(j.database, nil, corev1.EventTypeNormal, reason, "Reconcile", note, args...)
}

// ready says that the Database can be used.
func (j *job) ready(ctx context.Context, l login) error {
	return j.say(ctx, metav1.ConditionTrue, databasev1.ReasonAvailable, "The Secret has what a program needs to log in.", func(status *databasev1.DatabaseStatus) {
		issued := metav1.NewTime(l.issuedAt)
		status.Database, status.SecretName, status.IssuedAt = string(j.name), j.database.Name, &issued
	})
}

// refuse says what the consumer has to mend. Nothing is tried again until something changes in the workspace. It does nothing for nil.
func (j *job) refuse(ctx context.Context, r *refusal) error {
	if r == nil {
		return nil
	}
	return j.say(ctx, metav1.ConditionFalse, r.reason, r.message, nil)
}

// unavailable says that PostgreSQL does not work, and returns why for the operator's log. The consumer does not learn that: it may name what is
// the provider's own.
func (j *job) unavailable(ctx context.Context, why error) error {
	reason := databasev1.ReasonServerUnavailable
	message := "The PostgreSQL server does not do what the operator asks for. The operator tries again."
	if !j.database.DeletionTimestamp.IsZero() {
		reason, message = databasev1.ReasonDeleting, "The Database cannot be deleted yet. "+message
	}
	return errors.Join(why, j.say(ctx, metav1.ConditionFalse, reason, message, nil))
}

// say writes the status if that changes anything, and records an Event if the reason is another one.
func (j *job) say(ctx context.Context, is metav1.ConditionStatus, reason, message string, more func(*databasev1.DatabaseStatus)) error {
	before := j.database.DeepCopy()
	said := meta.FindStatusCondition(before.Status.Conditions, databasev1.Ready)
	meta.SetStatusCondition(&j.database.Status.Conditions, metav1.Condition{
		Type: databasev1.Ready, Status: is, Reason: reason, Message: message, ObservedGeneration: j.database.Generation,
	})
	if more != nil {
		more(&j.database.Status)
	}
	if equality.Semantic.DeepEqual(before.Status, j.database.Status) {
		return nil
	}
	if err := j.client.Status().Patch(ctx, j.database, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	if said == nil || said.Reason != reason {
		kind := corev1.EventTypeNormal
		if is != metav1.ConditionTrue {
			kind = corev1.EventTypeWarning
		}
		j.recorder.Eventf(j.database, nil, kind, reason, "Reconcile", "%s", message)
	}
	return nil
}
