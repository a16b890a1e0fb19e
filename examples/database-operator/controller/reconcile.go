package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client/operator"
	databasev1 "github.com/annex-dev/annex/examples/database-operator/api/v1"
	"github.com/annex-dev/annex/examples/database-operator/postgres"
)

const (
	finalizer = "postgresql.example.com/database"
	// busy is the pause before a database that somebody else works on is looked at again.
	busy = time.Second
)

// job is one Database while it is reconciled.
type job struct {
	*Reconciler
	client   client.Client // reads Databases from the cache, and writes to the consumer's cluster
	live     client.Reader
	recorder events.EventRecorder
	database *databasev1.Database
	name     postgres.Name
}

// Reconcile implements operator.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request operator.Request) (reconcile.Result, error) {
	database := &databasev1.Database{}
	if err := r.Manager.In(request.ClusterName).Get(ctx, request.NamespacedName, database); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	cluster, err := r.Manager.GetCluster(ctx, request.ClusterName)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reaching the consumer: %w", err)
	}
	j := &job{
		Reconciler: r, client: cluster.GetClient(), live: cluster.GetAPIReader(), recorder: cluster.GetEventRecorder(Component),
		database: database, name: postgres.NameFor(string(request.ClusterName), request.Namespace, request.Name),
	}
	if !database.DeletionTimestamp.IsZero() {
		return j.locked(ctx, j.delete)
	}
	if controllerutil.AddFinalizer(database, finalizer) {
		if err := j.client.Update(ctx, database); err != nil {
			return reconcile.Result{}, fmt.Errorf("adding the finalizer: %w", client.IgnoreNotFound(err))
		}
	}
	return j.locked(ctx, j.provide)
}

// locked calls f while nobody else works on the database, also in PostgreSQL: another replica may not know yet that it leads no more.
func (j *job) locked(ctx context.Context, f func(context.Context, *postgres.Tenant) (reconcile.Result, error)) (reconcile.Result, error) {
	tenant, err := j.Server.Lock(ctx, j.name)
	if errors.Is(err, postgres.ErrLocked) {
		return reconcile.Result{RequeueAfter: busy}, nil
	}
	if err != nil {
		return reconcile.Result{}, j.unavailable(ctx, err)
	}
	defer tenant.Unlock(ctx)
	return f(ctx, tenant)
}

// provide makes what a Database needs.
func (j *job) provide(ctx context.Context, tenant *postgres.Tenant) (reconcile.Result, error) {
	secret, refusal, err := j.readSecret(ctx)
	if err != nil || refusal != nil {
		return reconcile.Result{}, errors.Join(err, j.refuse(ctx, refusal))
	}
	if err := tenant.Ensure(ctx); err != nil {
		return reconcile.Result{}, j.unavailable(ctx, err)
	}
	login := j.loginOf(secret)
	valid := false
	if j.name.Has(login.username) {
		if valid, err = j.Server.LogsIn(ctx, j.name, login.username, login.password); err != nil {
			return reconcile.Result{}, j.unavailable(ctx, err)
		}
	}
	now := j.Clock.Now()
	if reason := j.due(login, valid, now); reason != "" {
		if login, refusal, err = j.issue(ctx, tenant, secret, login, now); err != nil || refusal != nil {
			return reconcile.Result{}, errors.Join(err, j.refuse(ctx, refusal))
		}
		j.tell("PasswordIssued", "The Secret %s has a new password: %s.", j.database.Name, reason)
	} else if err := tenant.LimitLogin(ctx, login.username, j.limit()); err != nil {
		return reconcile.Result{}, j.unavailable(ctx, err)
	}
	closing, err := j.closePrevious(ctx, tenant, login, now)
	if err != nil {
		return reconcile.Result{}, j.unavailable(ctx, err)
	}
	if err := j.ready(ctx, login); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: soonest(closing, j.nextRotation(login, now))}, nil
}

// closePrevious closes the login of the previous password, or returns when that is to be done.
func (j *job) closePrevious(ctx context.Context, tenant *postgres.Tenant, current login, now time.Time) (after time.Duration, err error) {
	previous := j.name.Other(current.username)
	open, err := tenant.IsOpen(ctx, previous)
	if err != nil || !open {
		return 0, err
	}
	if left := current.issuedAt.Add(j.Grace).Sub(now); left > 0 {
		return left, nil
	}
	return 0, tenant.CloseLogin(ctx, previous)
}
