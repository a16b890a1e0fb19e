package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/cmd/kubectl-annex/claims"
	"github.com/annex-dev/annex/cmd/kubectl-annex/near"
	"github.com/annex-dev/annex/cmd/kubectl-annex/progress"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

// bindEvery is the pause between two looks at a binding.
const bindEvery = 200 * time.Millisecond

func newBindCommand(c *common) *cobra.Command {
	return newGroup(&cobra.Command{
		Use:   "bind",
		Short: "Bind APIs of other workspaces",
		Long:  "Bind APIs that other workspaces offer, so that the current workspace serves them.",
		Example: c.example(`
  # Bind the APIExport widgets.example.com of the workspace root:provider
  $ bind apiexport root:provider:widgets.example.com`),
	}, newBindExportCommand(c))
}

func newBindExportCommand(c *common) *cobra.Command {
	var (
		name    string
		timeout time.Duration
		flags   claims.Flags
	)
	command := &cobra.Command{
		Use:   "apiexport <path of the workspace>:<APIExport>",
		Short: "Bind an APIExport in the current workspace",
		Long: "Bind an APIExport in the current workspace, and wait until its resources can be used. You need the verb 'bind' on the APIExport.\n\n" +
			"An APIExport can claim resources of your workspace. Each claim waits until you accept or reject it, with flags or with 'claims'.",
		Example: c.example(`
  # Bind an APIExport and accept all its claims
  $ bind apiexport root:provider:widgets.example.com --accept-all-permission-claims

  # Accept one claim and reject another one
  $ bind apiexport root:provider:widgets.example.com --accept-permission-claim configmaps.core --reject-permission-claim secrets.core`),
		Args: oneArgument("the APIExport"),
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		reference, err := parseExport(args[0])
		if err != nil {
			return err
		}
		answers, err := flags.Parse()
		if err != nil {
			return err
		}
		if name == "" {
			name = reference.Name
		}
		return c.bind(command.Context(), name, reference, answers, timeout)
	}
	f := command.Flags()
	f.StringVar(&name, "name", "", "Name of the APIBinding. Default: the name of the APIExport.")
	f.DurationVar(&timeout, "timeout", 30*time.Second, "How long to wait until the APIBinding is bound.")
	f.StringSliceVar(&flags.Accept, "accept-permission-claim", nil, "Claim to accept: <resource>.<group>, such as configmaps.core. Can be repeated.")
	f.StringSliceVar(&flags.Reject, "reject-permission-claim", nil, "Claim to reject: <resource>.<group>. Can be repeated.")
	f.BoolVar(&flags.AcceptAll, "accept-all-permission-claims", false, "Accept all claims of the APIExport, which you must be allowed to read.")
	f.BoolVar(&flags.RejectAll, "reject-all-permission-claims", false, "Reject all claims of the APIExport, which you must be allowed to read.")
	c.addWorkspaceFlag(command)
	return command
}

// parseExport returns the reference for <path>:<name>.
func parseExport(s string) (*apisv1alpha2.ExportBindingReference, error) {
	i := strings.LastIndex(s, logicalcluster.Separator)
	if i <= 0 || i == len(s)-1 {
		return nil, fmt.Errorf("fully qualified reference to workspace where APIExport exists is required. The format is `<logical-cluster-name>:<apiexport>` or `<full>:<path>:<to>:<apiexport>`, not %q; "+
			"an example is root:provider:widgets.example.com", s)
	}
	path, err := logicalcluster.ParsePath(strings.TrimPrefix(s[:i], logicalcluster.Separator))
	if err != nil || path == logicalcluster.Wildcard {
		return nil, fmt.Errorf("invalid workspace path: %s", s[:i])
	}
	return &apisv1alpha2.ExportBindingReference{Path: path.String(), Name: s[i+1:]}, nil
}

// bind creates the binding and waits for it.
func (c *common) bind(ctx context.Context, name string, reference *apisv1alpha2.ExportBindingReference, answers claims.Answers, timeout time.Duration) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	url, _, err := s.Here(ctx)
	if err != nil {
		return err
	}
	clients, err := s.Clients(url)
	if err != nil {
		return err
	}
	claimed, err := claimsOf(ctx, s, reference)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		// Whoever may bind an APIExport need not be able to read it, but nobody waits for what is not there.
		if missing := missingExport(ctx, s, reference); missing != nil {
			return missing
		}
	}
	// Without the export, claims that users named are known by their names.
	if err != nil && answers.All != "" {
		return fmt.Errorf("reading the claims of the APIExport: %w", err)
	}
	binding := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	binding.Spec.Reference.Export, binding.Spec.PermissionClaims = reference, answers.For(claimed)
	if _, err := clients.ApisV1alpha2().APIBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return boundAlready(ctx, clients, binding, err)
	}
	fmt.Fprintf(c.Out, "apibinding %s created. Waiting to successfully bind ...\n", name)
	if err := c.awaitBound(ctx, clients, name, timeout); err != nil {
		return fmt.Errorf("could not bind %s: %w", name, err)
	}
	fmt.Fprintf(c.Out, "%s created and bound.\n", name)
	return nil
}

// boundAlready returns err, with which the server has refused a binding, with what is bound under its name already.
func boundAlready(ctx context.Context, clients versioned.Interface, binding *apisv1alpha2.APIBinding, err error) error {
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	is, getErr := clients.ApisV1alpha2().APIBindings().Get(ctx, binding.Name, metav1.GetOptions{})
	if getErr != nil || is.Spec.Reference.Export == nil {
		return fmt.Errorf("%w; --name gives the new one another name", err)
	}
	bound, wanted := exportName(is.Spec.Reference.Export), exportName(binding.Spec.Reference.Export)
	switch {
	case bound == wanted && is.Status.Phase != apisv1alpha2.APIBindingPhaseBound:
		return fmt.Errorf("%w for APIExport %q, but is not bound yet%s", err, wanted, reasons(is.Status.Conditions))
	case bound == wanted:
		// A binding with another name would not help: a workspace serves each resource once.
		return fmt.Errorf("APIExport %q is bound already: %w", wanted, err)
	}
	return fmt.Errorf("%w, and binds APIExport %q; --name gives the new one another name", err, bound)
}

// exportName returns, for example, root:provider:widgets.
func exportName(reference *apisv1alpha2.ExportBindingReference) string {
	return logicalcluster.Path(reference.Path).Join(reference.Name).String()
}

// missingExport returns an error that says what is missing, if the APIExport or its workspace does not exist, as far as the user can see.
func missingExport(ctx context.Context, s *session.Session, reference *apisv1alpha2.ExportBindingReference) error {
	d, err := s.Door(ctx)
	if err != nil {
		return err
	}
	path := logicalcluster.Path(reference.Path)
	if _, single := path.Name(); single && d.Host && path != logicalcluster.Root.Path() {
		return nil // a host takes the name of a logical cluster for a child of the host workspace
	}
	if _, err := s.Check(ctx, path); err != nil {
		if session.IsMissing(err) {
			return fmt.Errorf("there is no APIExport %q: %w", reference.Name, err)
		}
		return nil
	}
	url, err := s.ObjectsURL(ctx, path)
	if err != nil {
		return err
	}
	clients, err := s.QuietClients(url)
	if err != nil {
		return err
	}
	list, err := clients.ApisV1alpha2().APIExports().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil //nolint:nilerr // who may not list APIExports learns from the server whether they may bind this one
	}
	var names []string
	for i := range list.Items {
		if list.Items[i].Name == reference.Name {
			return nil
		}
		names = append(names, list.Items[i].Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("workspace %q has no APIExports", path)
	}
	return fmt.Errorf("workspace %q has no APIExport %q%s", path, reference.Name, near.Hint(reference.Name, names, ""))
}

// claimsOf returns the claims of an APIExport.
func claimsOf(ctx context.Context, s *session.Session, reference *apisv1alpha2.ExportBindingReference) ([]apisv1alpha2.PermissionClaim, error) {
	url, err := s.ObjectsURL(ctx, logicalcluster.Path(reference.Path))
	if err != nil {
		return nil, err
	}
	clients, err := s.QuietClients(url)
	if err != nil {
		return nil, err
	}
	export, err := clients.ApisV1alpha2().APIExports().Get(ctx, reference.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return export.Spec.PermissionClaims, nil
}

// awaitBound waits until a binding is bound.
func (c *common) awaitBound(ctx context.Context, clients versioned.Interface, name string, timeout time.Duration) error {
	line := progress.Start(c.ErrOut, fmt.Sprintf("APIBinding %q is being bound", name))
	defer line.Stop()
	var last *apisv1alpha2.APIBinding
	err := wait.PollUntilContextTimeout(ctx, bindEvery, timeout, true, func(ctx context.Context) (bool, error) {
		binding, err := clients.ApisV1alpha2().APIBindings().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		last = binding
		return binding.Status.Phase == apisv1alpha2.APIBindingPhaseBound, nil
	})
	if wait.Interrupted(err) && last != nil {
		return fmt.Errorf("it is not bound after %s%s", timeout, reasons(last.Status.Conditions))
	}
	return err
}
