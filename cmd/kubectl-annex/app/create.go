package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/wait"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/contexts"
	"github.com/annex-dev/annex/cmd/kubectl-annex/near"
	"github.com/annex-dev/annex/cmd/kubectl-annex/progress"
	"github.com/annex-dev/annex/cmd/kubectl-annex/session"
	tenancyclient "github.com/annex-dev/annex/generated/clientset/versioned/typed/tenancy/v1alpha1"
)

const (
	// readyTimeout is how long a new workspace may take to become Ready.
	readyTimeout = time.Minute
	// pollEvery is the pause between two looks at it.
	pollEvery = 500 * time.Millisecond
)

// creation is what flags say about a new workspace.
type creation struct {
	name, typ, selector, context string
	enter, ignoreExisting        bool
	// reference and location are parsed.
	reference *tenancyv1alpha1.WorkspaceTypeReference
	location  *tenancyv1alpha1.WorkspaceLocation
}

func newCreateCommand(c *common, name string) *cobra.Command {
	var n creation
	command := &cobra.Command{
		Use:   name + " NAME",
		Short: "Create a workspace below the current one",
		Long: "Create a workspace below the current one, and wait until it is ready. Without --type, the current workspace decides which type it gets.\n" +
			"The command waits for up to a minute.",
		Example: c.example(strings.ReplaceAll(`
  # Create a workspace and enter it
  % CREATE team-a --enter

  # Create a workspace of a type, unless it is there, and a context that leads to it
  % CREATE org --type root:organization --ignore-existing --create-context org`, "CREATE", name)),
		Args: oneArgument("the name of the workspace"),
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		n.name = args[0]
		if err := n.parse(); err != nil {
			return err
		}
		return c.create(command.Context(), &n)
	}
	flags := command.Flags()
	flags.StringVar(&n.typ, "type", "", "Type of the workspace: <name>, or <path>:<name> such as root:organization. Default: the parent decides.")
	flags.BoolVar(&n.enter, "enter", false, "Enter the workspace when it is ready.")
	flags.BoolVar(&n.ignoreExisting, "ignore-existing", false, "Succeed if the workspace exists. The type must be absolute, if you set one.")
	flags.StringVar(&n.selector, "location-selector", "", "Selector for labels of Shards: one of those that match holds the workspace. Of use only if the operator runs several.")
	flags.StringVar(&n.context, "create-context", "", "Write a context of this name that leads to the workspace. With --enter, it becomes the current one.")
	c.addWorkspaceFlag(command)
	return command
}

// parse checks the flags.
func (n *creation) parse() error {
	if i := strings.LastIndexAny(n.name, ":/"); i > 0 && i < len(n.name)-1 {
		return fmt.Errorf("%q is a path: create %q with --workspace %s", n.name, n.name[i+1:], absolute(n.name[:i]))
	}
	if n.typ != "" {
		path, name := logicalcluster.Path(n.typ).Split()
		n.reference = &tenancyv1alpha1.WorkspaceTypeReference{Name: tenancyv1alpha1.WorkspaceTypeName(strings.ToLower(name)), Path: path.String()}
		if name == "" || strings.HasPrefix(n.typ, logicalcluster.Separator) {
			return fmt.Errorf("--type %s: must be <name> or <path>:<name>, such as root:organization", n.typ)
		}
	}
	if n.ignoreExisting && n.typ != "" && !strings.HasPrefix(n.typ, logicalcluster.Root.String()) {
		return errors.New("--ignore-existing must not be used with non-absolute type path")
	}
	if n.selector != "" {
		selector, err := metav1.ParseToLabelSelector(n.selector)
		if err != nil {
			return fmt.Errorf("invalid location selector %q: %w", n.selector, err)
		}
		n.location = &tenancyv1alpha1.WorkspaceLocation{Selector: selector}
	}
	return nil
}

// absolute returns the path of a workspace that begins with root so that it is absolute, and others as they are.
func absolute(path string) string {
	if path == logicalcluster.Root.String() || strings.HasPrefix(path, logicalcluster.Root.String()+logicalcluster.Separator) {
		return logicalcluster.Separator + path
	}
	return path
}

// create creates a workspace, waits for it, and enters it if the flags say so.
func (c *common) create(ctx context.Context, n *creation) error {
	s, err := c.open(ctx)
	if err != nil {
		return err
	}
	if n.context != "" {
		config, err := s.Access().GetStartingConfig()
		if err != nil {
			return fmt.Errorf("reading the kubeconfig: %w", err)
		}
		if err := contexts.Free(config, n.context, n.ignoreExisting); err != nil {
			return err
		}
	}
	url, parent, err := s.Here(ctx)
	if err != nil {
		return err
	}
	clients, err := s.Clients(url)
	if err != nil {
		return err
	}
	workspace, err := c.ensure(ctx, clients.TenancyV1alpha1().Workspaces(), n)
	if err != nil {
		return explainCreate(ctx, s, parent, n, err)
	}
	path := session.PathOf(workspace.Spec.URL)
	if path.Empty() {
		path = parent.Join(workspace.Name)
	}
	return c.arrive(ctx, s, path, workspace, n)
}

// explainCreate says what is wrong with the name, the type or the parent of a workspace that the server has refused with err, if that is the reason.
func explainCreate(ctx context.Context, s *session.Session, parent logicalcluster.Path, n *creation, err error) error {
	if apierrors.IsInvalid(err) && len(validation.IsDNS1123Label(n.name)) > 0 {
		return fmt.Errorf("%w; use lower-case letters, digits and '-' for the name", err)
	}
	if hint := meantType(ctx, s, parent, n.reference); hint != "" {
		return fmt.Errorf("%w%s", err, hint)
	}
	return inParent(ctx, s, parent, n.name, err)
}

// meantType returns the end of a message about a type that does not exist: which ones may be meant. A type without a path is looked for in the parent
// and in the workspaces above. It is empty if the type exists, and if the user may list none with a similar name.
func meantType(ctx context.Context, s *session.Session, parent logicalcluster.Path, typ *tenancyv1alpha1.WorkspaceTypeReference) string {
	if typ == nil {
		return ""
	}
	paths := []logicalcluster.Path{logicalcluster.Path(typ.Path)}
	if typ.Path == "" {
		paths = nil
		for path := parent; !path.Empty(); path, _ = path.Split() {
			paths = append(paths, path)
		}
	}
	var meant []string
	for _, path := range paths {
		names := typesIn(ctx, s, path)
		if slices.Contains(names, string(typ.Name)) {
			return ""
		}
		for _, name := range near.Names(string(typ.Name), names) {
			meant = append(meant, path.Join(name).String())
		}
	}
	if len(meant) == 0 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", near.List(meant, "", "or"))
}

// typesIn returns the names of the types in the workspace at path, as far as the user may list them.
func typesIn(ctx context.Context, s *session.Session, path logicalcluster.Path) []string {
	url, err := s.ObjectsURL(ctx, path)
	if err != nil {
		return nil
	}
	clients, err := s.QuietClients(url)
	if err != nil {
		return nil
	}
	list, err := clients.TenancyV1alpha1().WorkspaceTypes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

// inParent says what is wrong with the parent, where the server says only that the user may not create a workspace, or that there is no such
// resource.
func inParent(ctx context.Context, s *session.Session, parent logicalcluster.Path, name string, err error) error {
	if parent.Empty() || (!apierrors.IsForbidden(err) && !apierrors.IsNotFound(err)) {
		return err
	}
	if _, closed := s.Check(ctx, parent); closed != nil {
		return fmt.Errorf("workspace %q has no parent: %w", name, closed)
	}
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("workspace %q cannot have workspaces below it: its APIs do not include %s: %w", parent, tenancyv1alpha1.GroupName, err)
	}
	return fmt.Errorf("creating workspace %q in %q: %w", name, parent, err)
}

// ensure creates the Workspace, or finds it, and waits until it is Ready.
func (c *common) ensure(ctx context.Context, workspaces tenancyclient.WorkspaceInterface, n *creation) (*tenancyv1alpha1.Workspace, error) {
	workspace, err := workspaces.Create(ctx, &tenancyv1alpha1.Workspace{
		ObjectMeta: metav1.ObjectMeta{Name: n.name},
		Spec:       tenancyv1alpha1.WorkspaceSpec{Type: n.reference, Location: n.location},
	}, metav1.CreateOptions{})
	begin := "created."
	switch {
	case apierrors.IsAlreadyExists(err) && n.ignoreExisting:
		begin = "already exists."
		if workspace, err = workspaces.Get(ctx, n.name, metav1.GetOptions{}); err != nil {
			return nil, fmt.Errorf("reading workspace %q: %w", n.name, err)
		}
		if is := workspace.Spec.Type; n.reference != nil && (is == nil || *is != *n.reference) {
			return nil, fmt.Errorf("workspace %q cannot be created with type %s, it already exists with different type %s", n.name, typeName(n.reference), typeName(is))
		}
		if workspace.Status.Phase == corev1alpha1.LogicalClusterPhaseReady {
			fmt.Fprintf(c.Out, "Workspace %q%s %s\n", n.name, inBrackets(workspace), begin)
			return workspace, nil
		}
	case err != nil:
		return nil, err
	}
	fmt.Fprintf(c.Out, "Workspace %q%s %s Waiting for it to be ready...\n", n.name, inBrackets(workspace), begin)
	if workspace, err = c.awaitReady(ctx, workspaces, workspace); err != nil {
		return nil, err
	}
	fmt.Fprintf(c.Out, "Workspace %q%s is ready to use.\n", n.name, inBrackets(workspace))
	return workspace, nil
}

// inBrackets returns, for example, " (type root:universal)".
func inBrackets(workspace *tenancyv1alpha1.Workspace) string {
	if workspace.Spec.Type == nil {
		return ""
	}
	return " (type " + typeName(workspace.Spec.Type) + ")"
}

// awaitReady waits until a workspace is Ready.
func (c *common) awaitReady(ctx context.Context, workspaces tenancyclient.WorkspaceInterface, workspace *tenancyv1alpha1.Workspace) (*tenancyv1alpha1.Workspace, error) {
	name := workspace.Name
	line := progress.Start(c.ErrOut, fmt.Sprintf("Workspace %q is %s", name, workspace.Status.Phase))
	defer line.Stop()
	err := wait.PollUntilContextTimeout(ctx, pollEvery, readyTimeout, true, func(ctx context.Context) (bool, error) {
		latest, err := workspaces.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		workspace = latest
		line.Say("Workspace %q is %s", name, workspace.Status.Phase)
		return workspace.Status.Phase == corev1alpha1.LogicalClusterPhaseReady, nil
	})
	if wait.Interrupted(err) {
		return nil, fmt.Errorf("workspace %q is not ready after %s: it is in phase %s%s", name, readyTimeout, workspace.Status.Phase, reasons(workspace.Status.Conditions))
	}
	if err != nil {
		return nil, fmt.Errorf("waiting for workspace %q: %w", name, err)
	}
	return workspace, nil
}

// arrive writes the contexts that the flags ask for.
func (c *common) arrive(ctx context.Context, s *session.Session, path logicalcluster.Path, workspace *tenancyv1alpha1.Workspace, n *creation) error {
	if n.context == "" {
		if !n.enter {
			return nil
		}
		return c.enter(ctx, s, path, workspace, true, false)
	}
	d, err := s.Door(ctx)
	if err != nil {
		return err
	}
	url := d.WorkspaceURL(path)
	if n.enter {
		// The current workspace becomes the previous one, as for those who enter without a context.
		if err := c.enter(ctx, s, path, workspace, true, false); err != nil {
			return err
		}
	}
	if err := contexts.Modify(ctx, s.Access(), func(config *clientcmdapi.Config) error {
		_, _, err := contexts.Create(config, s.Start(), contexts.Name{Context: n.context, Server: url, Overwrite: n.ignoreExisting, Enter: n.enter})
		return err
	}); err != nil {
		return err
	}
	if n.enter {
		fmt.Fprintf(c.Out, "Created context %q and switched to it.\n", n.context)
	} else {
		fmt.Fprintf(c.Out, "Created context %q.\n", n.context)
	}
	return nil
}
