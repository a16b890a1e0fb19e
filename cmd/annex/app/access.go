package app

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/core"
	"github.com/annex-dev/annex/server/authentication/tokens"
)

// accessTokens issues the tokens of WorkspaceAccesses. They live for at most max, as those of TokenRequests; 0 means no limit.
type accessTokens struct {
	*tokens.Tokens
	max time.Duration
}

// Issue implements workspaceaccess.Tokens.
func (t accessTokens) Issue(ctx context.Context, cluster logicalcluster.Name, account *corev1.ServiceAccount, now time.Time, life time.Duration) (string, time.Time, error) {
	if t.max > 0 {
		life = min(life, t.max)
	}
	signed, _, err := t.Tokens.Issue(ctx, core.Token{
		Cluster: cluster, Account: account, Audiences: []string{t.Audience(cluster)}, Issued: now, Life: life,
	})
	return signed, now.Add(life), err
}
