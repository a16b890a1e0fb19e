package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
)

// Reasons of Events about objects of consumers.
const (
	// reasonRefused is for objects that the rules of the configuration refuse.
	reasonRefused = "SyncRefused"
	// reasonRejected is for objects that the service cluster does not accept.
	reasonRejected = "SyncRejected"
	// reasonNameTaken is for objects in the way, on either side.
	reasonNameTaken = "SyncNameTaken"
	// reasonNotClaimed is for related objects whose permission claim is not accepted.
	reasonNotClaimed = "SyncNotClaimed"
)

// refusedRetry is when what was refused is tried again.
const refusedRetry = time.Minute

// refusal is an error that the user of an object must know.
type refusal struct {
	reason  string
	message string
}

// Error implements error.
func (r *refusal) Error() string { return r.message }

func refuse(reason, format string, args ...any) error {
	return &refusal{reason, fmt.Sprintf(format, args...)}
}

// explained returns an error of a write to the service cluster as a refusal, if the user can do something about it: the object is wrong by its
// schema or by an admission webhook. What the agent itself may not do is nobody's business in a workspace.
func explained(err error) error {
	if err == nil {
		return nil
	}
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return err
	}
	message := status.Status().Message
	denied := apierrors.IsForbidden(err) && (strings.Contains(message, "denied the request") || strings.Contains(message, "denied request"))
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || denied {
		return refuse(reasonRejected, "the service does not accept the object: %s", message)
	}
	return err
}

// settle tells the user about err, which is a refusal, and returns what to do next.
func (s *syncer) settle(ctx context.Context, obj *unstructured.Unstructured, err error) (reconcile.Result, error) {
	known := &refusal{reasonRefused, err.Error()} // of the rules, unless it is another one
	_ = errors.As(err, &known)
	key := client.KeyOf(obj)
	s.counts.refusals.WithLabelValues(s.converter.Resource.String(), known.reason).Inc()
	klog.FromContext(ctx).V(1).Info("An object is not synchronized", "cluster", key.Cluster, "resource", s.converter.Resource, "namespace", key.Namespace, "name", key.Name, "reason", known.reason)
	if cluster, err := s.manager.GetCluster(ctx, key.Cluster); err == nil {
		cluster.GetEventRecorder(component).Eventf(obj, nil, corev1.EventTypeWarning, known.reason, "Sync", "%s", known.message)
	}
	return reconcile.Result{RequeueAfter: refusedRetry}, nil
}

// workspaceError is an error of a workspace, as opposed to one of the service cluster.
type workspaceError struct{ error }

// Unwrap returns the error itself.
func (e *workspaceError) Unwrap() error { return e.error }

// of says of an error which side it is from.
func of(at side, err error) error {
	if err == nil || at.name != config.FromWorkspace {
		return err
	}
	return &workspaceError{err}
}
