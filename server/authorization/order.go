package authorization

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Those who decide, by the names that kcp gives them.
const (
	// AlwaysAllowGroups allows everything to system:masters.
	AlwaysAllowGroups = "AlwaysAllowGroups"
	// AlwaysAllowPaths allows Config.AlwaysAllowPaths to everybody.
	AlwaysAllowPaths = "AlwaysAllowPaths"
	// RBAC stands for the numbered steps, and for the rules about requests that are not for one cluster.
	RBAC = "RBAC"
	// Webhook asks Config.Webhook.
	Webhook = "Webhook"
)

// DefaultOrder returns the order of kcp.
func DefaultOrder() []string { return []string{AlwaysAllowGroups, AlwaysAllowPaths, RBAC, Webhook} }

// CheckOrder returns what is wrong with an order.
func CheckOrder(order []string) error {
	if len(order) == 0 {
		return errors.New("nobody decides: the order is empty")
	}
	for i, name := range order {
		switch {
		case !slices.Contains(DefaultOrder(), name):
			return fmt.Errorf("%q does not decide: the order must consist of %s", name, strings.Join(DefaultOrder(), ", "))
		case slices.Contains(order[:i], name):
			return fmt.Errorf("%s is twice in the order", name)
		}
	}
	return nil
}

const openToAll = "open to everybody"

// opens reports whether a request is for a path that is open to everybody.
func (c *Authorizer) opens(attrs authorizer.Attributes) bool {
	return slices.Contains(c.Order, AlwaysAllowPaths) && !attrs.IsResourceRequest() && isOneOf(c.Config.AlwaysAllowPaths, attrs.GetPath())
}

// isOneOf reports whether path is one of paths, of which those that end in "*" stand for all that begin so.
func isOneOf(paths []string, path string) bool {
	return slices.ContainsFunc(paths, func(allowed string) bool {
		prefix, ok := strings.CutSuffix(allowed, "*")
		return path == allowed || (ok && strings.HasPrefix(path, prefix))
	})
}

// inOrder lets those in the order decide, one after the other, until one allows or denies the request. rbac stands for RBAC. The cluster is
// empty unless the request is for one.
func (c *Authorizer) inOrder(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes, master bool,
	rbac func() (authorizer.Decision, string, standing, error)) (authorizer.Decision, string, standing, error) {
	decision, reason, where := authorizer.DecisionNoOpinion, "nobody allows it", inside
	if !cluster.Empty() && !slices.Contains(c.Order, RBAC) {
		where = outside // nobody else knows who may enter
	}
	for _, name := range c.Order {
		var err error
		switch {
		case name == AlwaysAllowGroups && master:
			return authorizer.DecisionAllow, "system:masters may do everything", inside, nil
		case name == AlwaysAllowPaths && c.opens(attrs):
			return authorizer.DecisionAllow, openToAll, inside, nil
		case name == RBAC:
			decision, reason, where, err = rbac()
		case name == Webhook && c.Webhook != nil && !cluster.Empty():
			decision, reason, where, err = c.byWebhook(ctx, cluster, attrs)
		}
		if err != nil || decision != authorizer.DecisionNoOpinion {
			return decision, reason, where, err
		}
	}
	return decision, reason, where, nil
}

// inCluster lets those in the order decide about a request that is for one cluster, by somebody below system:masters.
func (c *Authorizer) inCluster(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, standing, error) {
	return c.inOrder(ctx, cluster, attrs, false, func() (authorizer.Decision, string, standing, error) { return c.byRBAC(ctx, cluster, attrs) })
}
