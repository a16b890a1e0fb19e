package tokens

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	authenticationjwt "k8s.io/apiserver/pkg/authentication/token/jwt"
	"k8s.io/apiserver/pkg/authentication/user"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/authentication"
)

var errRevoked = errors.New("the ServiceAccount, Secret or workspace of the token does not exist any more")

// AuthenticateToken implements authenticator.Token.
func (t *Tokens) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	i, err := t.verify(ctx, token)
	if errors.Is(err, errForeign) {
		return nil, false, nil
	}
	var audiences authenticator.Audiences
	if err == nil {
		audiences, err = t.audiences(ctx, i)
	}
	target := authentication.ClusterOf(ctx)
	if err == nil {
		err = t.checkExistence(ctx, i, token, target)
	}
	if err != nil {
		if apierrors.IsServiceUnavailable(err) {
			apistatus.Undecided(ctx)
		}
		return nil, false, fmt.Errorf("checking a token of a ServiceAccount: %w", err)
	}
	return &authenticator.Response{User: i.user(target), Audiences: audiences}, true, nil
}

// audiences returns for which of the wanted audiences the token is. Whoever wants none in particular is the workspace itself.
func (t *Tokens) audiences(ctx context.Context, i identity) (authenticator.Audiences, error) {
	itself := t.Audiences(i.cluster)
	wanted, given := authenticator.AudiencesFrom(ctx)
	if !given {
		wanted = itself
	}
	has := authenticator.Audiences(i.audiences)
	if i.legacy {
		has = itself
	}
	both := has.Intersect(wanted)
	if len(both) == 0 {
		return nil, fmt.Errorf("token audiences %q is invalid for the target audiences %q", has, wanted)
	}
	return both, nil
}

// Audiences returns the audiences of tokens for the API of a cluster. The first one is its own.
func (t *Tokens) Audiences(cluster logicalcluster.Name) authenticator.Audiences {
	return append(authenticator.Audiences{t.Audience(cluster)}, t.APIAudiences...)
}

// checkExistence returns an error unless everything that the token depends on exists and is not being deleted.
func (t *Tokens) checkExistence(ctx context.Context, i identity, token string, target logicalcluster.Name) error {
	var exists bool
	err := t.recent.lookTwice(ctx, func() (bool, error) {
		var err error
		exists, err = t.exists(ctx, i, token, target)
		return exists, err
	})
	switch {
	case err != nil:
		return unavailable(err)
	case !exists:
		return errRevoked
	}
	return nil
}

func (t *Tokens) exists(ctx context.Context, i identity, token string, target logicalcluster.Name) (bool, error) {
	cluster, err := client.Find[corev1alpha1.LogicalCluster](ctx, t.Cached, corev1alpha1.Resource("logicalclusters"),
		client.Key{Cluster: i.cluster, Name: corev1alpha1.LogicalClusterName})
	if err != nil || cluster == nil {
		return false, err
	}
	// Whether an inactive workspace serves its own accounts is for the authorizer, which lets them make it active again.
	if cluster.Status.Phase == corev1alpha1.LogicalClusterPhaseInactive && target != i.cluster {
		return false, nil
	}
	account, err := client.Find[corev1.ServiceAccount](ctx, t.Cached, corev1.Resource("serviceaccounts"),
		client.Key{Cluster: i.cluster, Namespace: i.namespace, Name: i.account.Name})
	if err != nil || account == nil || account.DeletionTimestamp != nil || string(account.UID) != i.account.UID {
		return false, err
	}
	if i.secret.Name == "" {
		return true, nil
	}
	secret, err := client.Find[corev1.Secret](ctx, t.Cached, corev1.Resource("secrets"),
		client.Key{Cluster: i.cluster, Namespace: i.namespace, Name: i.secret.Name})
	if err != nil || secret == nil || secret.DeletionTimestamp != nil {
		return false, err
	}
	if i.legacy {
		if !serviceaccount.IsServiceAccountToken(secret, account) || !same(secret.Data[corev1.ServiceAccountTokenKey], []byte(token)) {
			return false, nil
		}
		t.uses.note(secret, t.Clock.Now())
		return secret.Labels[invalidLabel] == "", nil
	}
	return string(secret.UID) == i.secret.UID, nil
}

// user returns who the account is in a request that target decides about; empty for one that is for no cluster in particular.
func (i identity) user(target logicalcluster.Name) user.Info {
	var u *user.DefaultInfo
	if target == i.cluster {
		u = &user.DefaultInfo{
			Name:   serviceaccount.MakeUsername(i.namespace, i.account.Name),
			UID:    i.account.UID,
			Groups: serviceaccount.MakeGroupNames(i.namespace),
			Extra: map[string][]string{
				policy.ScopesKey:      {policy.Scope(i.cluster)},
				policy.ClusterNameKey: {i.cluster.String()},
			},
		}
	} else {
		u = policy.Abroad(i.cluster, i.namespace, i.account.Name, i.account.UID)
	}
	if id := authenticationjwt.CredentialIDForJTI(i.id); id != "" {
		u.Extra[user.CredentialIDKey] = []string{id}
	}
	return u
}
