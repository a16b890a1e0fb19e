package serviceaccount

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	tokens "k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// sweepPace is the pause between two Secrets when all are looked at, so that other work can proceed.
	sweepPace = 5 * time.Millisecond
	// sweepRetry is how soon a list that failed is tried again.
	sweepRetry = 5 * time.Second
)

var (
	secrets  = corev1.Resource("secrets")
	accounts = corev1.Resource("serviceaccounts")
)

// Tokens makes the tokens.
type Tokens interface {
	// ForSecret returns the token that secret should hold: the one in it if that is valid, or else a new one.
	ForSecret(ctx context.Context, cluster logicalcluster.Name, account *corev1.ServiceAccount, secret *corev1.Secret) ([]byte, error)
}

// Config contains what the controller works with.
type Config struct {
	multicluster.Config
	Tokens Tokens
	// CABundle returns the certificates that the Secrets contain, in PEM format, and a channel that is closed when they change. While there
	// are none, Secrets are filled without.
	CABundle func() ([]byte, <-chan struct{})
}

// Specs returns the controller.
func Specs(c Config) []multicluster.Spec {
	r := &reconciler{Config: c, missed: make(chan struct{}, 1)}
	return []multicluster.Spec{{
		Name:    "serviceaccount-token",
		Workers: 4,
		Watches: []multicluster.Watch{
			{Resource: secrets, Keys: ofSecret},
			{Resource: accounts, Content: c.Content, HeadKeys: ofAccount, Listed: multicluster.OnlyChanges, Restarted: r.restarted},
		},
		Feeds:     []func(context.Context, func(client.Key, time.Duration)){r.sweep},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	Config
	// missed has an item when deletions of ServiceAccounts may have been missed.
	missed chan struct{}
}

func (r *reconciler) restarted() {
	select {
	case r.missed <- struct{}{}:
	default:
	}
}

// ofSecret returns the key of a Secret that contains a token.
func ofSecret(_ context.Context, event client.Event) ([]client.Key, error) {
	secret, ok := event.Object.(*corev1.Secret)
	if !ok || event.Type == client.Deleted || !concerns(secret) {
		return nil, nil
	}
	return []client.Key{client.KeyOf(secret)}, nil
}

// ofAccount returns the key of the namespace of a ServiceAccount that was deleted: however many are, one look at the Secrets of the namespace
// is enough.
func ofAccount(_ context.Context, event client.HeadEvent) ([]client.Key, error) {
	if event.Type != client.Deleted {
		return nil, nil
	}
	return []client.Key{{Cluster: event.Head.Cluster, Namespace: event.Head.Namespace}}, nil
}

// concerns reports whether the controller has to do with a Secret. The server's own clusters have no tokens.
func concerns(secret *corev1.Secret) bool {
	return secret.Type == corev1.SecretTypeServiceAccountToken && !logicalcluster.From(secret).IsSystem()
}

// sweep queues all Secrets with tokens, after each change of the bundle and when deletions of ServiceAccounts may have been missed.
func (r *reconciler) sweep(ctx context.Context, add func(client.Key, time.Duration)) {
	for {
		_, outdated := r.CABundle()
		var again <-chan time.Time
		all, err := client.List[corev1.Secret](ctx, r.Client, secrets, client.Scope{})
		if err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Secrets with tokens cannot be checked; trying again")
			again = time.After(sweepRetry)
		}
		after := time.Duration(0)
		for _, secret := range all {
			if concerns(secret) {
				add(client.KeyOf(secret), after)
				after += sweepPace
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-outdated:
		case <-r.missed:
		}
	}
}

// reconcile fills one Secret, or deletes it if its ServiceAccount does not exist. A key without a name stands for all Secrets of a namespace
// whose ServiceAccount does not exist.
func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	if key.Name == "" {
		return reconcile.Result{}, r.deleteOrphans(ctx, client.Scope{Cluster: key.Cluster, Namespace: key.Namespace})
	}
	secret, err := client.Find[corev1.Secret](ctx, r.Client, secrets, key)
	if err != nil || secret == nil || !concerns(secret) || secret.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	var account *corev1.ServiceAccount
	err = client.LookTwice(r.Client, r.Live, func(from client.Reader) (bool, error) {
		var err error
		account, err = accountOf(ctx, from, secret)
		return account != nil, err
	})
	if err != nil {
		return reconcile.Result{}, err
	}
	if account != nil {
		return reconcile.Result{}, r.fill(ctx, key.Cluster, account, secret)
	}
	err = r.Client.Delete(ctx, secrets, key, &metav1.Preconditions{UID: &secret.UID, ResourceVersion: &secret.ResourceVersion})
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("deleting a Secret whose ServiceAccount does not exist: %w", err)
	}
	return reconcile.Result{}, nil
}

// accountOf returns the ServiceAccount of a Secret; nil if there is none.
func accountOf(ctx context.Context, from client.Reader, secret *corev1.Secret) (*corev1.ServiceAccount, error) {
	key := client.KeyOf(secret)
	key.Name = secret.Annotations[corev1.ServiceAccountNameKey]
	account, err := client.Find[corev1.ServiceAccount](ctx, from, accounts, key)
	if err != nil || account == nil || !tokens.IsServiceAccountToken(secret, account) {
		return nil, err
	}
	return account, nil
}

// deleteOrphans deletes the Secrets in scope whose ServiceAccount does not exist.
func (r *reconciler) deleteOrphans(ctx context.Context, scope client.Scope) error {
	all, err := client.List[corev1.Secret](ctx, r.Client, secrets, scope)
	if err != nil {
		return err
	}
	var failures []error
	for _, secret := range all {
		if !concerns(secret) {
			continue
		}
		account, err := accountOf(ctx, r.Client, secret)
		if err == nil && account == nil {
			_, err = r.reconcile(ctx, client.KeyOf(secret))
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// fill writes what belongs into a Secret, and keeps everything else.
func (r *reconciler) fill(ctx context.Context, cluster logicalcluster.Name, account *corev1.ServiceAccount, secret *corev1.Secret) error {
	if secret.Immutable != nil && *secret.Immutable {
		return nil
	}
	token, err := r.Tokens.ForSecret(ctx, cluster, account, secret)
	if err != nil {
		return fmt.Errorf("making a token: %w", err)
	}
	filled := secret.DeepCopy()
	filled.Annotations[corev1.ServiceAccountUIDKey] = string(account.UID)
	filled.Data = maps.Clone(filled.Data)
	if filled.Data == nil {
		filled.Data = map[string][]byte{}
	}
	filled.Data[corev1.ServiceAccountTokenKey] = token
	filled.Data[corev1.ServiceAccountNamespaceKey] = []byte(secret.Namespace)
	if bundle, _ := r.CABundle(); len(bundle) > 0 {
		filled.Data[corev1.ServiceAccountRootCAKey] = bundle
	}
	if apiequality.Semantic.DeepEqual(filled, secret) {
		return nil
	}
	_, err = r.Client.Update(ctx, secrets, cluster, filled)
	switch {
	case apierrors.IsInvalid(err):
		// Such as too much data. A retry does not help before somebody changes the Secret.
		return reconcile.TerminalError(fmt.Errorf("filling a Secret: %w", err))
	case err != nil && !apierrors.IsNotFound(err):
		return fmt.Errorf("filling a Secret: %w", err)
	}
	return nil
}
