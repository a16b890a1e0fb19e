package app

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/retry"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/cmd/kubectl-annex/claims"
	"github.com/annex-dev/annex/generated/clientset/versioned"
)

func newClaimsCommand(c *common) *cobra.Command {
	get := newGroup(&cobra.Command{
		Use:     "get",
		Short:   "Show permission claims and their answers",
		Example: c.example("\n  $ claims get apibinding\n  $ claims get apibinding widgets.example.com"),
	}, newClaimsGetCommand(c))
	return newGroup(&cobra.Command{
		Use:   "claims",
		Short: "Read and answer the permission claims of APIs that are bound",
		Long: "Read and answer the permission claims of APIs that are bound. With a claim, a provider asks for access to objects in the workspaces\n" +
			"that bind its APIExport, such as Secrets. The provider has it only where the claim is accepted.",
		Example: c.example(`
  # Show the claims of all APIBindings in the current workspace, and their answers
  $ claims get apibinding

  # Accept all claims of one, and reject one of them
  $ claims accept widgets.example.com
  $ claims reject widgets.example.com --resource secrets.core`),
	}, get,
		newClaimsAnswerCommand(c, "accept", "accepted", apisv1alpha2.ClaimAccepted),
		newClaimsAnswerCommand(c, "reject", "rejected", apisv1alpha2.ClaimRejected))
}

func newClaimsGetCommand(c *common) *cobra.Command {
	command := &cobra.Command{
		Use:     "apibinding [NAME]",
		Aliases: []string{"apibindings"},
		Short:   "Show the claims that APIBindings answer",
		Example: c.example("\n  $ claims get apibinding\n  $ claims get apibinding widgets.example.com"),
		Args:    cobra.MaximumNArgs(1),
	}
	out := addOutputFlag(command)
	command.RunE = func(command *cobra.Command, args []string) error {
		if err := out.check(); err != nil {
			return err
		}
		ctx := command.Context()
		clients, err := c.clientsHere(ctx)
		if err != nil {
			return err
		}
		bindings, err := readBindings(ctx, clients, args)
		if err != nil {
			return err
		}
		if !out.table() {
			var objects []runtime.Object
			for i := range bindings {
				objects = append(objects, &bindings[i])
			}
			return out.printObjects(c, objects)
		}
		var rows [][]any
		for i := range bindings {
			for j := range bindings[i].Spec.PermissionClaims {
				claim := &bindings[i].Spec.PermissionClaims[j]
				name := claim.Resource
				if claim.Group != "" {
					name += "." + claim.Group
				}
				rows = append(rows, []any{bindings[i].Name, name, strings.Join(claim.Verbs, ","), string(claim.State), claim.IdentityHash})
			}
		}
		if len(rows) == 0 {
			c.none("No answered permission claims found.")
			return nil
		}
		return out.printTable(c, []string{"APIBinding", "Group-Resource", "Verbs", "Status", "+Identity"}, rows)
	}
	c.addWorkspaceFlag(command)
	return command
}

// readBindings returns the binding that args names, or all.
func readBindings(ctx context.Context, clients versioned.Interface, args []string) ([]apisv1alpha2.APIBinding, error) {
	if len(args) == 1 {
		binding, err := clients.ApisV1alpha2().APIBindings().Get(ctx, args[0], metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		return []apisv1alpha2.APIBinding{*binding}, nil
	}
	list, err := clients.ApisV1alpha2().APIBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func newClaimsAnswerCommand(c *common, verb, done string, state apisv1alpha2.AcceptablePermissionClaimState) *cobra.Command {
	var resource, identity string
	command := &cobra.Command{
		Use:   verb + " APIBINDING",
		Short: strings.ToUpper(verb[:1]) + verb[1:] + " claims of an APIExport",
		Long: strings.ToUpper(verb[:1]) + verb[1:] + " claims of the APIExport that an APIBinding refers to: all, or those that flags select. Answers that are there change.\n" +
			"New answers are for all objects and all verbs; the claim of the APIExport limits the verbs.",
		Example: c.example(fmt.Sprintf("\n  $ claims %[1]s widgets.example.com\n  $ claims %[1]s widgets.example.com --resource configmaps.core", verb)),
		Args:    oneArgument("the name of the APIBinding"),
	}
	command.RunE = func(command *cobra.Command, args []string) error {
		which := claims.Which{Identity: identity}
		if resource != "" {
			parsed, err := claims.ParseResource(resource)
			if err != nil {
				return err
			}
			which.Resource = &parsed
		}
		ctx := command.Context()
		clients, err := c.clientsHere(ctx)
		if err != nil {
			return err
		}
		var names []string
		if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			binding, err := clients.ApisV1alpha2().APIBindings().Get(ctx, args[0], metav1.GetOptions{})
			if err != nil {
				return err
			}
			if names, err = claims.Set(binding, which, state); err != nil {
				return err
			}
			_, err = clients.ApisV1alpha2().APIBindings().Update(ctx, binding, metav1.UpdateOptions{})
			return err
		}); err != nil {
			return err
		}
		for _, name := range names {
			fmt.Fprintf(c.Out, "claim %q on APIBinding %q is %s\n", name, args[0], done)
		}
		return nil
	}
	command.Flags().StringVar(&resource, "resource", "", "Only claims for this resource: <resource>.<group>, such as configmaps.core.")
	command.Flags().StringVar(&identity, "identity-hash", "", "Only claims for resources of this identity.")
	c.addWorkspaceFlag(command)
	return command
}

// clientsHere returns clients for the current workspace.
func (c *common) clientsHere(ctx context.Context) (versioned.Interface, error) {
	s, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	url, _, err := s.Here(ctx)
	if err != nil {
		return nil, err
	}
	return s.Clients(url)
}
