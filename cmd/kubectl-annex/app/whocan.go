package app

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/cmd/kubectl-annex/near"
)

func newWhoCanCommand(c *common) *cobra.Command {
	var limit int32
	command := &cobra.Command{
		Use:   "who-can VERB (RESOURCE [NAME] | /PATH)",
		Short: "List who may do something in the current workspace",
		Long: "List the users, groups and ServiceAccounts that may do something in the current workspace, with the bindings that allow it, whether they\n" +
			"are in the workspace or inherited from one above. Administrators of the workspace may ask.\n\n" +
			"A subject with the answer 'no' lacks something else, such as the permission to enter the workspace, which a user may have by another group.\n" +
			"Inherited permissions count for those who log in as the subject: an impersonated user, as with 'kubectl --as', inherits nothing.",
		Example: c.example("\n  $ who-can get secrets -n prod\n  $ who-can delete customresourcedefinitions widgets.example.com\n  $ who-can access /"),
		Args:    accessArguments,
	}
	out := addOutputFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
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
		// Without the workspace, what it serves says nothing.
		if err := c.exists(ctx, s, path); err != nil {
			return err
		}
		review := &annexv1alpha1.WhoCanReview{Spec: annexv1alpha1.WhoCanReviewSpec{Limit: limit}}
		if review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes, err = c.accessTopic(s.Quiet(url), args); err != nil {
			return err
		}
		clients, err := s.Clients(url)
		if err != nil {
			return err
		}
		if review, err = clients.AnnexV1alpha1().WhoCanReviews().Create(ctx, review, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("asking workspace %q: %w", path, err)
		}
		return printWhoCan(c, out, review)
	}
	command.Flags().Int32Var(&limit, "limit", 0, "Most subjects to list, up to 1000. Default: 250.")
	c.addWorkspaceFlag(command)
	return command
}

func printWhoCan(c *common, out *output, review *annexv1alpha1.WhoCanReview) error {
	if !out.table() {
		review.Name = "answer" // -o name needs one
		return out.printObjects(c, []runtime.Object{review})
	}
	var rows [][]any
	for i := range review.Status.Subjects {
		subject := &review.Status.Subjects[i]
		for j := range subject.Grants {
			g := &subject.Grants[j]
			rows = append(rows, []any{subjectText(subject.Subject), yesNo(subject.Allowed), bindingText(g), roleText(g), originText(g), subject.Message})
		}
	}
	if err := out.printTable(c, []string{"Subject", "Allowed", "Binding", "Role", "From", "+Missing"}, rows); err != nil {
		return err
	}
	if review.Status.Truncated {
		c.warn("there are more subjects than are shown; use --limit")
	}
	for _, note := range review.Status.Notes {
		c.note("%s", note)
	}
	return nil
}

// meantResource returns the end of the message about a resource that a workspace does not serve: which resources may be meant.
func meantResource(resource string, groups []*restmapper.APIGroupResources) string {
	var names []string
	for _, group := range groups {
		for _, resources := range group.VersionedResources {
			for i := range resources {
				name := resources[i].Name
				// Whoever types the group means the group.
				if strings.Contains(resource, ".") {
					name = schema.GroupResource{Group: group.Group.Name, Resource: name}.String()
				}
				if !strings.Contains(name, "/") {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	if names = near.Names(resource, slices.Compact(names)); len(names) == 0 {
		return "; 'kubectl api-resources' lists those that it serves"
	}
	return near.Hint(resource, names, "")
}

// accessTopic returns what the arguments VERB and RESOURCE [NAME], or VERB and /PATH, are about.
func (c *common) accessTopic(config *rest.Config, args []string) (*authorizationv1.ResourceAttributes, *authorizationv1.NonResourceAttributes, error) {
	verb := args[0]
	if strings.HasPrefix(args[1], "/") {
		return nil, &authorizationv1.NonResourceAttributes{Verb: verb, Path: args[1]}, nil
	}
	c.warnOfVerb(verb)
	resource, subresource, _ := strings.Cut(args[1], "/")
	topic := &authorizationv1.ResourceAttributes{Verb: verb, Subresource: subresource}
	if len(args) == 3 {
		topic.Name = args[2]
	}
	namespace, _, err := c.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	topic.Namespace = namespace
	if resource == "*" {
		topic.Group, topic.Resource = "*", "*"
		return topic, nil, nil
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		return nil, nil, fmt.Errorf("reading which resources the workspace has: %w", err)
	}
	mapper := restmapper.NewShortcutExpander(restmapper.NewDiscoveryRESTMapper(groups), client, nil)
	named := schema.ParseGroupResource(resource)
	found, err := mapper.ResourceFor(named.WithVersion(""))
	if err != nil {
		// A rule may be about what the workspace does not serve yet.
		topic.Group, topic.Resource = named.Group, named.Resource
		c.warn("the workspace serves no resource %q%s", resource, meantResource(resource, groups))
		return topic, nil, nil
	}
	topic.Group, topic.Resource = found.Group, found.Resource
	if kind, err := mapper.KindFor(found); err == nil {
		if mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version); err == nil && mapping.Scope.Name() == meta.RESTScopeNameRoot {
			topic.Namespace = ""
		}
	}
	return topic, nil, nil
}
