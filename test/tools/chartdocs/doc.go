// Chartdocs writes the table of values into the README of a Helm chart, between two marks, from the comments in values.yaml:
//
//	chartdocs charts/annex
//
// A comment that begins with "--" describes the value below it; what lies deeper and has no such comment belongs to it. Every
// value must be described, itself or as part of another. make generate runs it.
package main
