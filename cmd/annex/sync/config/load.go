package config

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

const defaultPrefix = "sync-"

// Load reads a file, sets defaults and returns every fault in it.
func Load(file string) (*SyncConfiguration, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// Parse is Load for the content of a file.
func Parse(data []byte) (*SyncConfiguration, error) {
	var c SyncConfiguration
	if err := yaml.UnmarshalStrict(data, &c); err != nil {
		return nil, fmt.Errorf("reading YAML: %w", err)
	}
	if c.APIVersion != APIVersion || c.Kind != Kind {
		return nil, fmt.Errorf("the file is a %s of %q, want a %s of %q", c.Kind, c.APIVersion, Kind, APIVersion)
	}
	if c.Agent == "" {
		c.Agent = c.Export
	}
	if c.Naming.Layout == "" {
		c.Naming.Layout = NamespacePerNamespace
	}
	if c.Naming.NamespacePrefix == "" && c.Naming.Layout != SingleNamespace {
		c.Naming.NamespacePrefix = defaultPrefix
	}
	if err := validate(&c).ToAggregate(); err != nil {
		return nil, err
	}
	return &c, nil
}
