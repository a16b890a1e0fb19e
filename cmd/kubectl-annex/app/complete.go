package app

import (
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
)

// completeWorkspaces completes the path of a workspace: it lists the workspaces in the one before the last separator.
func (c *common) completeWorkspaces(command *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	const done = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx := command.Context()
	s, err := session.Open(ctx, c.flags, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	i := strings.LastIndexAny(typed, ":/") + 1
	before, begin := typed[:i], typed[i:]
	parent, err := s.Origin(ctx)
	path := parent.Path
	if in := strings.TrimRight(before, ":/"); err == nil && in != "" {
		var target session.Target
		target, err = s.Resolve(ctx, in)
		path = target.Path
	} else if before != "" {
		// Behind a separator alone there are the tops of all trees, of which users know one.
		return []string{before + logicalcluster.Root.String()}, done
	}
	if err != nil || path.Empty() {
		return nil, cobra.ShellCompDirectiveError
	}
	url, err := s.ObjectsURL(ctx, path)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	clients, err := s.QuietClients(url)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	list, err := clients.TenancyV1alpha1().Workspaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for i := range list.Items {
		if strings.HasPrefix(list.Items[i].Name, begin) {
			names = append(names, before+list.Items[i].Name)
		}
	}
	return names, done
}
