package app

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes/scheme"

	annexscheme "github.com/annex-dev/annex/generated/clientset/versioned/scheme"
)

const wide = "wide"

// output is the flag -o of a command that prints objects.
type output struct {
	format string
	print  *genericclioptions.PrintFlags
}

// addOutputFlag adds -o.
func addOutputFlag(command *cobra.Command) *output {
	o := &output{print: genericclioptions.NewPrintFlags("")}
	command.Flags().StringVarP(&o.format, "output", "o", "", "Output format: json, yaml, name or wide. Default: a table.")
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml", "name", wide}, cobra.ShellCompDirectiveNoFileComp))
	return o
}

// check returns an error if the format does not exist. Call it before the first request.
func (o *output) check() error {
	switch o.format {
	case "", wide, "json", "yaml", "name":
		return nil
	}
	return fmt.Errorf("--output %s: must be json, yaml, name or wide", o.format)
}

// table reports whether a table is to be printed, and not objects.
func (o *output) table() bool { return o.format == "" || o.format == wide }

// printTable prints rows below columns. The columns whose names are in upper case with a leading + are for -o wide only.
func (o *output) printTable(c *common, columns []string, rows [][]any) error {
	table := &metav1.Table{}
	for _, name := range columns {
		column := metav1.TableColumnDefinition{Name: name, Type: "string"}
		if name, wider := strings.CutPrefix(name, "+"); wider {
			column.Name, column.Priority = name, 1
		}
		table.ColumnDefinitions = append(table.ColumnDefinitions, column)
	}
	for _, cells := range rows {
		table.Rows = append(table.Rows, metav1.TableRow{Cells: cells})
	}
	return printers.NewTablePrinter(printers.PrintOptions{Wide: o.format == wide}).PrintObj(table, c.Out)
}

// printObjects prints objects, each of which has its kind in scheme.
func (o *output) printObjects(c *common, objects []runtime.Object) error {
	o.print.OutputFormat = &o.format
	for _, object := range objects {
		if err := setKind(object); err != nil {
			return err
		}
	}
	printer, err := o.print.ToPrinter()
	if err != nil {
		return err
	}
	if o.format == "name" || len(objects) == 1 {
		for _, object := range objects {
			if err := printer.PrintObj(object, c.Out); err != nil {
				return err
			}
		}
		return nil
	}
	list := &metav1.List{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"}, Items: []runtime.RawExtension{}}
	for _, object := range objects {
		list.Items = append(list.Items, runtime.RawExtension{Object: object})
	}
	return printer.PrintObj(list, c.Out)
}

// setKind writes apiVersion and kind, which typed clients leave out.
func setKind(object runtime.Object) error {
	kinds, _, err := annexscheme.Scheme.ObjectKinds(object)
	if runtime.IsNotRegisteredError(err) {
		kinds, _, err = scheme.Scheme.ObjectKinds(object)
	}
	if err != nil {
		return fmt.Errorf("printing %T: %w", object, err)
	}
	object.GetObjectKind().SetGroupVersionKind(kinds[0])
	return nil
}
