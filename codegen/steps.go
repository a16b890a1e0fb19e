package main

import (
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/spf13/pflag"
	applyargs "k8s.io/code-generator/cmd/applyconfiguration-gen/args"
	applygenerators "k8s.io/code-generator/cmd/applyconfiguration-gen/generators"
	clientargs "k8s.io/code-generator/cmd/client-gen/args"
	clientgenerators "k8s.io/code-generator/cmd/client-gen/generators"
	copyargs "k8s.io/code-generator/cmd/deepcopy-gen/args"
	copygenerators "k8s.io/code-generator/cmd/deepcopy-gen/generators"
	informerargs "k8s.io/code-generator/cmd/informer-gen/args"
	informergenerators "k8s.io/code-generator/cmd/informer-gen/generators"
	listerargs "k8s.io/code-generator/cmd/lister-gen/args"
	listergenerators "k8s.io/code-generator/cmd/lister-gen/generators"
	"k8s.io/code-generator/pkg/util"
	"k8s.io/gengo/v2"
	"k8s.io/gengo/v2/generator"
	"k8s.io/gengo/v2/namer"
)

// step generates one thing. Later ones use what earlier ones have written.
type step struct {
	name string
	run  func(*job) error
}

var steps = []step{
	{"deep copies", deepCopies},
	{"apply configurations", applyConfigurations},
	{"the clientset", clientset},
	{"listers", listers},
	{"informers", informers},
	{"the package clusters", clusters},
}

// arguments are those of a generator, which it has its own type for.
type arguments interface{ Validate() error }

// execute runs a generator as its command does: add adds its flags, which are set as flags says.
func execute(a arguments, add func(*pflag.FlagSet), flags []string, names namer.NameSystems, name string, targets func(*generator.Context) []generator.Target, inputs []string) error {
	set := pflag.NewFlagSet("generator", pflag.ContinueOnError)
	add(set)
	if err := set.Parse(flags); err != nil {
		return err
	}
	if err := a.Validate(); err != nil {
		return err
	}
	return gengo.Execute(names, name, targets, gengo.StdBuildTag, inputs)
}

// into returns the flags that say where to write.
func (j *job) into(folder string) []string {
	return append(j.headed(), "--output-dir", path.Join(j.output, folder), "--output-pkg", j.pkg(j.output, folder))
}

// headed returns the flag for the header.
func (j *job) headed() []string {
	if j.header == "" {
		return nil
	}
	return []string{"--go-header-file", j.header}
}

// inputs are the packages of types.
func (j *job) inputs() []string {
	inputs := make([]string, len(j.apis))
	for i, folder := range j.apis {
		inputs[i] = j.pkg(folder)
	}
	slices.Sort(inputs)
	return inputs
}

// plurals are no exceptions.
func plurals() map[string]string {
	return util.PluralExceptionListToMapOrDie([]string{"Endpoints:Endpoints"})
}

func deepCopies(j *job) error {
	a := copyargs.New()
	if err := execute(a, a.AddFlags, append(j.headed(), "--output-file", copies), copygenerators.NameSystems(), copygenerators.DefaultNameSystem(),
		func(c *generator.Context) []generator.Target { return copygenerators.GetTargets(c, a) }, j.inputs()); err != nil {
		return err
	}
	// The generator says nothing if it finds nothing to do.
	for _, folder := range j.apis {
		if _, err := os.Stat(path.Join(folder, copies)); err != nil {
			return fmt.Errorf("%s has no types to generate for: its doc.go needs // +k8s:deepcopy-gen=package and // +groupName=<group> above the package clause", folder)
		}
	}
	return nil
}

// copies is the file with deep copies, beside the types.
const copies = "zz_generated.deepcopy.go"

func applyConfigurations(j *job) error {
	a, flags := applyargs.New(), j.into("applyconfiguration")
	for _, external := range j.external {
		flags = append(flags, "--external-applyconfigurations", external)
	}
	return execute(a, func(set *pflag.FlagSet) { a.AddFlags(set, "") }, flags, applygenerators.NameSystems(), applygenerators.DefaultNameSystem(),
		func(c *generator.Context) []generator.Target { return applygenerators.GetTargets(c, a) }, j.inputs())
}

func clientset(j *job) error {
	a, flags := clientargs.New(), j.into("clientset")
	flags = append(flags, "--clientset-name", "versioned", "--apply-configuration-package", j.pkg(j.output, "applyconfiguration"), "--input-base", "")
	for _, input := range j.inputs() {
		flags = append(flags, "--input", input)
	}
	return execute(a, func(set *pflag.FlagSet) { a.AddFlags(set, "") }, flags, clientgenerators.NameSystems(plurals()), clientgenerators.DefaultNameSystem(),
		func(c *generator.Context) []generator.Target { return clientgenerators.GetTargets(c, a) }, j.inputs())
}

func listers(j *job) error {
	a := listerargs.New()
	return execute(a, a.AddFlags, j.into("listers"), listergenerators.NameSystems(plurals()), listergenerators.DefaultNameSystem(),
		func(c *generator.Context) []generator.Target { return listergenerators.GetTargets(c, a) }, j.inputs())
}

func informers(j *job) error {
	a := informerargs.New()
	flags := append(j.into("informers"), "--versioned-clientset-package", j.pkg(j.output, "clientset", "versioned"), "--listers-package", j.pkg(j.output, "listers"))
	return execute(a, a.AddFlags, flags, informergenerators.NameSystems(plurals()), informergenerators.DefaultNameSystem(),
		func(c *generator.Context) []generator.Target { return informergenerators.GetTargets(c, a) }, j.inputs())
}
