package tokens

import (
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// legacyIssuer is the issuer of the tokens that Secrets hold, for every server of Kubernetes.
const legacyIssuer = "kubernetes/serviceaccount"

// issuerPath is between the external URL of the server and the name of a logical cluster.
const issuerPath = "/clusters/"

// claims are what a token says.
type claims struct {
	jwt.Claims
	private
}

// private are the claims that only Kubernetes and kcp have.
type private struct {
	Kubernetes *bound `json:"kubernetes.io,omitempty"`

	// These are in tokens that Secrets hold.
	Namespace   string              `json:"kubernetes.io/serviceaccount/namespace,omitempty"`
	Secret      string              `json:"kubernetes.io/serviceaccount/secret.name,omitempty"`
	Account     string              `json:"kubernetes.io/serviceaccount/service-account.name,omitempty"`
	AccountUID  string              `json:"kubernetes.io/serviceaccount/service-account.uid,omitempty"`
	ClusterName logicalcluster.Name `json:"kubernetes.io/serviceaccount/clusterName,omitempty"`
}

// bound says what a token depends on.
type bound struct {
	Namespace   string              `json:"namespace,omitempty"`
	Account     reference           `json:"serviceaccount"`
	Secret      *reference          `json:"secret,omitempty"`
	ClusterName logicalcluster.Name `json:"clusterName,omitempty"`
}

type reference struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
}

// identity is what a token says about the ServiceAccount.
type identity struct {
	cluster   logicalcluster.Name
	namespace string
	account   reference
	// secret is empty if the token depends on none. A legacy token is in the Secret, and does not know its UID.
	secret    reference
	legacy    bool
	audiences []string
	id        string
}

// identity returns whose token c is of; false if c is not of a token that this server issues, whatever its signature.
func (c *claims) identity() (identity, bool) {
	if c.Issuer == legacyIssuer {
		return identity{
			cluster: c.ClusterName, namespace: c.Namespace, account: reference{Name: c.Account, UID: c.AccountUID},
			secret: reference{Name: c.Secret}, legacy: true, id: c.ID,
		}, c.ClusterName != "" && c.Kubernetes == nil
	}
	if c.Kubernetes == nil || c.Kubernetes.ClusterName == "" || !strings.HasSuffix(c.Issuer, issuerPath+c.Kubernetes.ClusterName.String()) {
		return identity{}, false
	}
	i := identity{
		cluster: c.Kubernetes.ClusterName, namespace: c.Kubernetes.Namespace, account: c.Kubernetes.Account, audiences: c.Audience, id: c.ID,
	}
	if c.Kubernetes.Secret != nil {
		i.secret = *c.Kubernetes.Secret
	}
	return i, true
}

// check returns why a token whose signature is right is not valid now; nil if it is.
func (c *claims) check(i identity, now time.Time) error {
	switch {
	case c.Subject != serviceaccount.MakeUsername(i.namespace, i.account.Name), i.namespace == "", i.account.Name == "", i.account.UID == "":
		return errors.New("the token does not name its ServiceAccount")
	case i.legacy:
		if i.secret.Name == "" {
			return errors.New("the token does not name its Secret")
		}
		return nil
	case c.Kubernetes.Secret != nil && (i.secret.Name == "" || i.secret.UID == ""):
		return errors.New("the token does not name its Secret")
	case c.Expiry == nil || !now.Before(c.Expiry.Time()):
		return errors.New("the token has expired")
	case c.NotBefore == nil || now.Add(clockSkew).Before(c.NotBefore.Time()):
		return errors.New("the token is not valid yet")
	}
	return nil
}
