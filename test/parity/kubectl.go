package parity

import (
	"fmt"
	"regexp"
	"strings"
)

// Script is a list of command lines of kubectl that run one after the other in one namespace.
type Script struct {
	Name     string    `json:"name"`
	Commands []Command `json:"commands"`
}

// Command is one command line.
type Command struct {
	// Run are the arguments, separated by blanks; quotes '' keep blanks together.
	Run   string `json:"run"`
	Stdin string `json:"stdin,omitempty"`
}

// LoadScripts returns the scripts of corpus/kubectl.
func LoadScripts() ([]Script, error) {
	return load("corpus/kubectl", func(file string, s Script) ([]Script, error) {
		if s.Name == "" || len(s.Commands) == 0 {
			return nil, fmt.Errorf("script %q has no name or no commands", s.Name)
		}
		s.Name = "kubectl/" + file + "/" + s.Name
		return []Script{s}, nil
	})
}

// word is an argument with its quoted parts.
var word = regexp.MustCompile(`(?:'[^']*'|[^\s'])+`)

// Arguments returns the arguments of a command in a namespace.
func (c Command) Arguments(namespace string) []string {
	var args []string
	for _, arg := range word.FindAllString(strings.ReplaceAll(c.Run, "$ns", namespace), -1) {
		args = append(args, strings.ReplaceAll(arg, "'", ""))
	}
	return args
}

var printedNoise = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{uid, "<uid>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "<time>"},
	{regexp.MustCompile(`\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+\d{4}`), "<time>"},
	// The annotation with the workspace: alone, as YAML, JSON and described, and then beside others.
	{regexp.MustCompile(`(?m)^  annotations:\n    kcp\.io/cluster: \w+\n  (\w)`), "  $1"},
	// The same in a list.
	{regexp.MustCompile(`(?m)^    annotations:\n      kcp\.io/cluster: \w+\n    (\w)`), "    $1"},
	{regexp.MustCompile(`(?m)^ +"annotations": \{\n +"kcp\.io/cluster": "\w+"\n +\},\n`), ""},
	{regexp.MustCompile(`(?m)^(Annotations: +)kcp\.io/cluster: \w+\n(\S|\n|$)`), "${1}<none>\n$2"},
	{regexp.MustCompile(`(?m)^(Annotations: +)kcp\.io/cluster: \w+\n +`), "$1"},
	{regexp.MustCompile(`(?m)^ *kcp\.io/cluster: \w+\n`), ""},
	{regexp.MustCompile(`("?resourceVersion"?: )"\d+"`), `$1"<version>"`},
	{regexp.MustCompile(`(Resource Version:\s+)\d+`), "$1<version>"},
	// An age, with the blanks that fill its column.
	{regexp.MustCompile(`(?m)\b(\d+[smhd])+( |$) *`), "<age>$2"},
	{regexp.MustCompile(`(?m)\bAGE +`), "AGE "},
	{regexp.MustCompile(`https://[^/\s"]+(/clusters/[\w:-]+)?`), "<server>"},
}

// NormalizePrinted removes from what kubectl prints what differs between any two servers.
func NormalizePrinted(text string) string {
	for _, noise := range printedNoise {
		text = noise.pattern.ReplaceAllString(text, noise.with)
	}
	return text
}
