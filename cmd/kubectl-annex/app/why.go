package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

func newWhyCommand(c *common) *cobra.Command {
	command := &cobra.Command{
		Use:   "why VERB (RESOURCE [NAME] | /PATH)",
		Short: "Explain why you, or somebody else, may or may not do something",
		Long: "Explain why you may or may not do something in the current workspace: which bindings allow it, in which workspace they are, and what each\n" +
			"step decides. The command fails if it is not allowed.\n\n" +
			"With --as and --as-group it is about somebody else. Nobody is impersonated: you need the permission to create SubjectAccessReviews.",
		Example: c.example(`
  # May I delete the ConfigMap settings?
  $ why delete configmaps settings

  # Why can Alice read Secrets in the namespace prod of another workspace?
  $ why get secrets -n prod --as alice --workspace :root:org:team

  # What lets Bob enter the workspace?
  $ why access / --as bob`),
		Args: accessArguments,
	}
	out := addOutputFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		ctx := command.Context()
		explanation := &annexv1alpha1.AccessExplanation{}
		// Whoever is asked about does not ask.
		explanation.Spec.User, *c.flags.Impersonate = *c.flags.Impersonate, ""
		explanation.Spec.Groups, *c.flags.ImpersonateGroup = *c.flags.ImpersonateGroup, nil
		explanation.Spec.UID, *c.flags.ImpersonateUID = *c.flags.ImpersonateUID, ""
		if explanation.Spec.User != "" || len(explanation.Spec.Groups) > 0 {
			explanation.Spec.Groups = withAuthenticated(explanation.Spec.User, explanation.Spec.Groups)
		}
		s, err := c.open(ctx)
		if err != nil {
			return err
		}
		url, path, err := s.WorkspaceURL(ctx)
		if err != nil {
			return err
		}
		// Without the workspace, what it serves says nothing.
		if err := c.exists(ctx, s, path); err != nil {
			return err
		}
		if explanation.Spec.ResourceAttributes, explanation.Spec.NonResourceAttributes, err = c.accessTopic(s.Quiet(url), args); err != nil {
			return err
		}
		clients, err := s.Clients(url)
		if err != nil {
			return err
		}
		explanation, err = clients.AnnexV1alpha1().AccessExplanations().Create(ctx, explanation, metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("asking workspace %q: %w", path, err)
		}
		if err := printExplanation(c, out, explanation); err != nil {
			return err
		}
		if !explanation.Status.Allowed {
			return errors.New(explanation.Status.Reason)
		}
		return c.noteInherited(ctx, s, explanation)
	}
	c.addWorkspaceFlag(command)
	return command
}

// withAuthenticated adds the group of all authenticated users, to which everybody belongs who is not anonymous.
func withAuthenticated(user string, groups []string) []string {
	all := []string{"system:authenticated"}
	if user == "system:anonymous" {
		all[0] = "system:unauthenticated"
	}
	for _, group := range groups {
		if group != all[0] {
			all = append(all, group)
		}
	}
	return all
}

func printExplanation(c *common, out *output, explanation *annexv1alpha1.AccessExplanation) error {
	if !out.table() {
		explanation.Name = "explanation" // -o name needs one
		return out.printObjects(c, []runtime.Object{explanation})
	}
	status := &explanation.Status
	answer := "no"
	if status.Allowed {
		answer = "yes"
	}
	fmt.Fprintf(c.Out, "%s: %s\n\n", answer, strings.TrimPrefix(strings.TrimPrefix(status.Reason, "not allowed: "), "allowed: "))
	var rows [][]any
	for _, step := range status.Steps {
		rows = append(rows, []any{step.Name, string(step.Decision), step.Message})
	}
	if err := out.printTable(c, []string{"Step", "Decision", "Message"}, rows); err != nil {
		return err
	}
	for _, part := range []struct {
		title  string
		grants []annexv1alpha1.AccessGrant
	}{{"Bindings that allow it", status.Grants}, {"Bindings that allow to enter the workspace", status.Entry}} {
		if len(part.grants) == 0 {
			continue
		}
		fmt.Fprintf(c.Out, "\n%s:\n", part.title)
		rows = nil
		for i := range part.grants {
			g := &part.grants[i]
			rows = append(rows, []any{subjectText(g.Subject), bindingText(g), roleText(g), originText(g)})
		}
		if err := out.printTable(c, []string{"Subject", "Binding", "Role", "From"}, rows); err != nil {
			return err
		}
	}
	if status.Truncated {
		c.warn("there are more bindings than are shown")
	}
	if status.EvaluationError != "" {
		c.warn("%s", status.EvaluationError)
	}
	return nil
}

func subjectText(s annexv1alpha1.AccessSubject) string {
	text := s.Kind + " " + s.Name
	if s.Namespace != "" {
		text = s.Kind + " " + s.Namespace + "/" + s.Name
	}
	if s.Cluster != "" {
		text += " of " + s.Cluster
	}
	return text
}

func objectText(o *annexv1alpha1.AccessObject) string {
	switch {
	case o == nil:
		return "(hidden)"
	case o.Namespace != "":
		return o.Kind + " " + o.Namespace + "/" + o.Name
	}
	return o.Kind + " " + o.Name
}

func bindingText(g *annexv1alpha1.AccessGrant) string { return objectText(g.Binding) }

func roleText(g *annexv1alpha1.AccessGrant) string { return objectText(g.Role) }

// originText says where a binding is.
func originText(g *annexv1alpha1.AccessGrant) string {
	switch {
	case g.Source == annexv1alpha1.AccessSourceLocal:
		return "this workspace"
	case g.Source == annexv1alpha1.AccessSourceSystem:
		return "the system"
	case g.Workspace != "":
		return g.Workspace
	case g.Cluster != "":
		return g.Cluster
	}
	return "a workspace above"
}

// accessArguments checks what a command about permissions is about.
func accessArguments(command *cobra.Command, args []string) error {
	switch {
	case len(args) < 2 || len(args) > 3:
		return fmt.Errorf("%s needs a verb and a resource or path, such as 'get configmaps' or 'get /metrics'; see '%s --help'", command.CommandPath(), command.CommandPath())
	case len(args) == 3 && strings.HasPrefix(args[1], "/"):
		return fmt.Errorf("a path has no name: %s", args[2])
	case len(args) == 3 && strings.Contains(args[1], "/") && strings.Count(args[1], "/") > 1:
		return fmt.Errorf("%s: must be RESOURCE or RESOURCE/SUBRESOURCE", args[1])
	}
	return nil
}
