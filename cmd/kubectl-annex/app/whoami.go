package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/cmd/annex/kubeconfig"
)

func newWhoAmICommand(c *common) *cobra.Command {
	command := &cobra.Command{
		Use:   "whoami",
		Short: "Show who you are in the current workspace, and whether you may enter it",
		Long: "Show who you are in the current workspace, and whether you may enter it. Your name and groups can differ between workspaces: a\n" +
			"ServiceAccount has another name elsewhere.",
		Example: c.example("\n  $ whoami\n  $ whoami --workspace :root:org -o yaml"),
		Args:    cobra.NoArgs,
	}
	out := addOutputFlag(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		if err := out.check(); err != nil {
			return err
		}
		ctx := command.Context()
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		url, path, err := s.WorkspaceURL(ctx)
		if err != nil {
			return err
		}
		review, err := kubeconfig.ReviewSelf(ctx, s.At(url))
		if err != nil {
			return err
		}
		if !out.table() {
			review.Name = review.Status.UserInfo.Username
			return out.printObjects(c, []runtime.Object{review})
		}
		enters, err := s.MayEnter(ctx, path)
		if err != nil {
			return err
		}
		user := review.Status.UserInfo
		rows := [][]any{{"Workspace", path.String()}, {"URL", url}, {"Username", user.Username}, {"Groups", strings.Join(user.Groups, ",")}, {"May enter", yesNo(enters)}}
		if out.format == wide {
			rows = append(rows, []any{"UID", user.UID}, []any{"Extra", fmt.Sprint(user.Extra)})
		}
		if err := out.printTable(c, []string{"Attribute", "Value"}, rows); err != nil {
			return err
		}
		return c.noteImpersonated(ctx, s)
	}
	c.addWorkspaceFlag(command)
	return command
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
