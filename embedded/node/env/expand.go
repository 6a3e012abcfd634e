// Package env makes the environment of a container's process: what a kubelet does with env, envFrom, valueFrom, Service variables and $(VAR).
package env

import "strings"

// Expand replaces $(NAME) by what lookup gives. A name that lookup does not know stays as it is written, "$$" is one "$" (so "$$(NAME)" is the
// text "$(NAME)"), and any other "$" is itself. This is the rule of the Kubernetes API for command, args and env values.
func Expand(text string, lookup func(name string) (string, bool)) string {
	if !strings.Contains(text, "$") {
		return text
	}
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		switch text[i+1] {
		case '$':
			out.WriteByte('$')
			i++
		case '(':
			end := strings.IndexByte(text[i+2:], ')')
			if end < 0 {
				out.WriteString("$(")
				i++
				continue
			}
			name := text[i+2 : i+2+end]
			if value, known := lookup(name); known {
				out.WriteString(value)
			} else {
				out.WriteString("$(" + name + ")")
			}
			i += 2 + end
		default:
			out.WriteByte('$')
		}
	}
	return out.String()
}

// ExpandAll is Expand for a list, with the variables of a map.
func ExpandAll(texts []string, variables map[string]string) []string {
	lookup := func(name string) (string, bool) {
		value, known := variables[name]
		return value, known
	}
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = Expand(text, lookup)
	}
	return out
}
